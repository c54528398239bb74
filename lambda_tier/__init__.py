"""The same work as a worker's, without machines: a function that S3, SQS and HTTP wake."""
