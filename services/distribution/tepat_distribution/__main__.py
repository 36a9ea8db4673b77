from tepat_distribution.app import main

main()
