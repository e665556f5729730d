"""/classify: what a picture shows, in labels."""
