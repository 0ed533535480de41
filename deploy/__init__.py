"""
Deploy the pipeline to AWS: the function's package, and the tool that deploys it.

    lambda_zip   the zip of the function, for either architecture, without Docker
    osls         the open fork of the Serverless Framework, run from Python packages alone

`serverless.yml` at the repository's root is what gets deployed; `resources/` holds its parts.
"""
