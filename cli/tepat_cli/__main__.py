from tepat_cli.app import main

main()
