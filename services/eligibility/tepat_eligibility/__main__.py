from tepat_eligibility.app import main

main()
