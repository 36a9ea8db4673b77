"""Loads the fixtures that every suite shares."""

pytest_plugins = ["tepat_local.testing"]
