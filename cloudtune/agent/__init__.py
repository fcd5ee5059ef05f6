"""What runs inside a training job: the first process of its container. Standard library, and boto3 where it is there.

It travels to the job in an archive with the user's source and runs in whatever Python the image has: Python 3.8 syntax.
"""
