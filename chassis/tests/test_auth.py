import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Annotated, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from fastapi import Depends, FastAPI
from tepat_chassis.auth import Auth, KeysUnavailableError, Person, Right, TokenRefusedError, needs
from tepat_chassis.refusals import words
from tepat_contracts.bilingual import halves

ISSUER = "https://issuer.test"


class Issuer:
    """Signs with one key per algorithm, whose id is the algorithm; the public halves are in ``jwks``, a file."""

    def __init__(self, jwks: Path) -> None:
        self.jwks = jwks
        self.keys: dict[str, Any] = {
            "EdDSA": ed25519.Ed25519PrivateKey.generate(),
            "ES256": ec.generate_private_key(ec.SECP256R1()),
            "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        }
        self.publish(*self.keys)

    def public(self, *names: str) -> dict[str, Any]:
        keys = []
        for name in names:
            key = jwt.get_algorithm_by_name(name).to_jwk(self.keys[name].public_key(), as_dict=True)
            keys.append({**key, "kid": name, "alg": name, "use": "sig"})
        return {"keys": keys}

    def publish(self, *names: str) -> None:
        self.jwks.write_text(json.dumps(self.public(*names)))

    def token(self, *rights: str, algorithm: str = "EdDSA", kid: str | None = None, **claims: Any) -> str:
        """A good token but for ``claims``; a claim of None is left out."""
        good = {
            "iss": ISSUER,
            "aud": "tepat",
            "sub": "siti",
            "name": "Siti",
            "rights": list(rights),
            "regions": [],
            "exp": int(time.time()) + 3600,
        }
        kept = {name: value for name, value in {**good, **claims}.items() if value is not None}
        return jwt.encode(kept, self.keys[algorithm], algorithm, {"kid": kid or algorithm})


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer") / "jwks.json")


@pytest.fixture
def issuer(keys: Issuer) -> Issuer:
    keys.publish(*keys.keys)
    return keys


@pytest.fixture
def auth(issuer: Issuer) -> Auth:
    return Auth(str(issuer.jwks), ISSUER)


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
async def test_a_good_token_names_its_person(algorithm: str, issuer: Issuer, auth: Auth) -> None:
    token = issuer.token("read", "merge", "a right to come", algorithm=algorithm, regions=["33.74"])
    assert await auth.person(token) == Person("siti", "Siti", frozenset({Right.read, Right.merge}), ("33.74",))


async def test_clocks_may_differ_by_half_a_minute(issuer: Issuer, auth: Auth) -> None:
    assert (await auth.person(issuer.token(exp=int(time.time()) - 15))).sub == "siti"
    with pytest.raises(TokenRefusedError, match="expired"):
        await auth.person(issuer.token(exp=int(time.time()) - 45))


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": None}, "no exp"),
        ({"aud": None}, "no aud"),
        ({"iss": None}, "no iss"),
        ({"sub": None}, "no sub"),
        ({"sub": ""}, "nobody"),
        ({"name": 7}, "nobody"),
        ({"aud": "others"}, "another audience"),
        ({"iss": "https://elsewhere.test"}, "another issuer"),
        ({"rights": None}, "rights and regions"),
        ({"rights": "read"}, "rights and regions"),
        ({"rights": [1]}, "rights and regions"),
        ({"regions": None}, "rights and regions"),
        ({"regions": [""]}, "rights and regions"),
        ({"regions": ["33.7"]}, "rights and regions"),
        ({"kid": "ES256"}, "signature"),
        ({"kid": "unknown"}, "unknown key"),
    ],
)
async def test_anything_amiss_refuses_the_token(claims: dict[str, Any], why: str, issuer: Issuer, auth: Auth) -> None:
    with pytest.raises(TokenRefusedError, match=why):
        await auth.person(issuer.token("read", **claims))


async def test_forged_tokens_are_refused(issuer: Issuer, auth: Auth, tmp_path: Path) -> None:
    claims = jwt.decode(issuer.token("read"), options={"verify_signature": False})
    public = issuer.keys["EdDSA"].public_key().public_bytes_raw()
    forged = [
        jwt.encode(claims, "", "none", {"kid": "EdDSA"}),
        jwt.encode(claims, public, "HS256", {"kid": "EdDSA"}),
        Issuer(tmp_path / "other.json").token("read"),
        jwt.encode(claims, issuer.keys["EdDSA"], "EdDSA"),
        "not.a.token",
        "",
        "€",
    ]
    for token in forged:
        with pytest.raises(TokenRefusedError):
            await auth.person(token)


async def test_a_new_key_in_the_file_counts_at_once_and_a_withdrawn_one_no_more(issuer: Issuer) -> None:
    issuer.publish("ES256")
    auth = Auth(str(issuer.jwks), ISSUER)
    await auth.person(issuer.token(algorithm="ES256"))
    issuer.publish("EdDSA")
    await auth.person(issuer.token(algorithm="EdDSA"))
    with pytest.raises(TokenRefusedError):
        await auth.person(issuer.token(algorithm="ES256"))


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"keys": []}', "\N{SNOWMAN}"])
async def test_keys_that_cannot_be_read_let_nobody_in(content: str | None, issuer: Issuer, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    if content is not None:
        path.write_text(content, encoding="utf-16")
    with pytest.raises(KeysUnavailableError):
        await Auth(str(path), ISSUER).person(issuer.token())


class Endpoint(HTTPServer):
    """A JWKS URL."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.names = ["EdDSA"]
        self.status = 200
        self.asked = 0
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/keys"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Endpoint)
        self.server.asked += 1
        body = json.dumps(self.server.issuer.public(*self.server.names)).encode()
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint(issuer: Issuer) -> Iterator[Endpoint]:
    with Endpoint(issuer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_keys_of_a_url_are_kept(endpoint: Endpoint, issuer: Issuer) -> None:
    auth = Auth(endpoint.url, ISSUER)
    for _ in range(3):
        await auth.person(issuer.token())
    for _ in range(3):
        with pytest.raises(TokenRefusedError, match="unknown key"):
            await auth.person(issuer.token(algorithm="ES256"))
    assert endpoint.asked == 1


async def test_a_url_that_does_not_answer_lets_nobody_in(endpoint: Endpoint, issuer: Issuer) -> None:
    auth = Auth(endpoint.url, ISSUER)
    endpoint.status = 500
    with pytest.raises(KeysUnavailableError):
        await auth.person(issuer.token())
    endpoint.status, endpoint.names = 200, []
    with pytest.raises(KeysUnavailableError):
        await auth.person(issuer.token())
    endpoint.names = ["EdDSA"]
    assert (await auth.person(issuer.token())).sub == "siti"


@pytest.mark.parametrize(
    ("regions", "region", "covered"),
    [
        ((), "33.74.01", True),
        ((), None, True),
        (("33.74",), "33.74", True),
        (("33.74",), "33.74.01.1001", True),
        (("33.74",), "33", False),
        (("33.7",), "33.74", False),
        (("33.73", "33.75"), "33.74.01", False),
        (("33.74",), None, False),
    ],
)
def test_regions_cover_what_lies_in_them(regions: tuple[str, ...], region: str | None, covered: bool) -> None:
    assert Person("siti", "Siti", frozenset(), regions).covers(region) is covered


@pytest.fixture
async def client(auth: Auth) -> Any:
    app = FastAPI()
    app.state.auth = auth

    @app.get("/persons")
    async def persons(who: Annotated[Person, Depends(needs(Right.disclose))]) -> dict[str, str]:
        return {"told": who.name}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_a_route_asks_for_its_right(client: httpx.AsyncClient, issuer: Issuer) -> None:
    async def asked(authorization: str | None) -> httpx.Response:
        headers = {"Authorization": authorization} if authorization is not None else {}
        return await client.get("/persons", headers=headers)

    assert (await asked(f"Bearer {issuer.token('read', 'disclose')}")).json() == {"told": "Siti"}

    for nothing in (None, "Basic c2l0aTpzaXRp", "Bearer"):
        answer = await asked(nothing)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="tepat"'

    answer = await asked(f"Bearer {issuer.token('disclose', exp=1)}")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer realm="tepat", error="invalid_token", error_description="it has expired"'
    )
    english, indonesian = halves(answer.json()["detail"])
    assert "it has expired; ask for a new one" in english
    assert "sudah kedaluwarsa; mintalah yang baru" in indonesian

    answer = await asked(f"Bearer {issuer.token('read')}")
    assert answer.status_code == 403
    assert answer.json()["detail"] == words("right_missing", right="disclose")
    assert 'scope="disclose"' in answer.headers["WWW-Authenticate"]


async def test_without_keys_the_answer_is_503(client: httpx.AsyncClient, issuer: Issuer) -> None:
    issuer.jwks.unlink()
    answer = await client.get("/persons", headers={"Authorization": f"Bearer {issuer.token('disclose')}"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.json()["detail"] == words("keys_unreadable", error="FileNotFoundError")
