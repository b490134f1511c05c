"""What is known of a study: its folder, answers and summaries."""
