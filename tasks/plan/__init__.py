"""The typed plan; the only reader of plan.yaml."""

from tasks.plan.base import crossing
from tasks.plan.load import load_plan, parse_plan, plan_names, read_document, write_schema
from tasks.plan.locked import lock, read_locked
from tasks.plan.packages import require_packages
from tasks.plan.plan import Plan

__all__ = [
    "Plan",
    "crossing",
    "load_plan",
    "lock",
    "parse_plan",
    "plan_names",
    "read_document",
    "read_locked",
    "require_packages",
    "write_schema",
]
