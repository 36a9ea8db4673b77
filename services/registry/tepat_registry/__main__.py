from tepat_registry.app import main

main()
