"""Work on many objects: what an invocation does, redelivery, a bucket's notifications."""
