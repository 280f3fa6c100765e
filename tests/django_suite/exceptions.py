"""Tests of Django's that cannot pass, each with its reason. One that passes all the same is a failure of the run."""

from __future__ import annotations

from typing import Final

__all__ = ["EXCEPTIONS"]

_SAME_TWICE: Final = "Counts the queries of a block that asks the same question twice: the second time it is a hit."
_NOT_MANAGER: Final = (
    "Django leaves out the JOIN only where the related default manager is exactly models.Manager, not a subclass."
)
_OWN_BEGIN: Final = (
    "Reads the log by position, and it begins with a BEGIN: the test is not in a transaction of its own."
)

#: Reason by test, as ``app.module.Class.test``; a database in front (``sqlite:``, ``postgres:``) where only that has it.
EXCEPTIONS: Final[dict[str, str]] = {
    "basic.tests.ManagerTest.test_manager_method_attributes": (
        "Compares the docstrings of manager and queryset: CacheManager.get() has its own."
    ),
    "basic.tests.SelectOnSaveTests.test_select_on_save_lying_update": (
        "Expects a save to break the transaction that TestCase puts around it, and there is none."
    ),
    "many_to_many.tests.ManyToManyQueryTests.test_count_join_optimization": _NOT_MANAGER,
    "many_to_many.tests.ManyToManyQueryTests.test_exists_join_optimization": _NOT_MANAGER,
    "many_to_many.tests.ManyToManyTests.test_custom_default_manager_exists_count": _SAME_TWICE,
    "model_inheritance.tests.ModelInheritanceTests.test_create_child_no_update": _OWN_BEGIN,
    "model_inheritance.tests.ModelInheritanceTests.test_update_parent_filtering": _OWN_BEGIN,
    "prefetch_related.tests.CustomPrefetchTests.test_nested_prefetch_related_with_duplicate_prefetcher": _SAME_TWICE,
    "prefetch_related.tests.CustomPrefetchTests.test_traverse_single_item_property": _SAME_TWICE,
    "postgres:queries.test_explain.ExplainTests.test_basic": (
        "Explains a select_for_update(), which needs the transaction that TestCase puts around it."
    ),
    "queries.tests.Queries1Tests.test_tickets_2076_7256": (
        "Looks at the joins that compiling a query leaves in it: a hit compiles nothing."
    ),
}
