package tepat.door;

/** A record that is not taken; the message is the contract's reason, with the field where there is one. */
public final class Refused extends Exception {
    public Refused(String reason) {
        super(reason, null, false, false);
    }
}
