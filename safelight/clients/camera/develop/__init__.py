"""Developing: preview, thumbnail, placeholder and metadata of a picture, made in a process that can do nothing else."""
