"""What runs on a school's PC: tools around cards, tills and controllers."""
