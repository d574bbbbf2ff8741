"""What a search shows: ``report.html`` with its charts, and a network as text and as a drawing."""
