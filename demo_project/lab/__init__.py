"""The lab: staff start a storm, with a defence and without it, and see what came of it."""
