from tepat_notifications.app import main

main()
