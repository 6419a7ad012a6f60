"""`classify-batch`: many photos in one request, each with an answer of its own."""
