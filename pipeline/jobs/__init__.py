"""Work on many objects: invocations, redelivery, the notifications of a bucket."""
