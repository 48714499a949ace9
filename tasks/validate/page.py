"""The page about the data: every rule, met or not; self-contained, without scripts."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, StrictUndefined

from tasks.evidence.records import Dataset
from tasks.validate.records import Expectation

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ name }}: is the data what the plan says?</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; margin: 2rem auto;
  max-width: 68rem; padding: 0 1rem }
h1 { font-size: 1.4rem; margin-bottom: 0 } h2 { font-size: 1.1rem; margin-top: 2rem }
p.verdict { font-size: 1.1rem; margin-top: .25rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top;
  padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #ddd }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.met { color: #1b6e2e } .broken { color: #a3161b; font-weight: 600 }
code { font-size: .85em; overflow-wrap: anywhere }
.scroll { overflow-x: auto }
</style>
</head>
<body>
<h1>Is the data of {{ name }} what the plan says?</h1>
{% if problems %}<p class="verdict broken">Refused: {{ problems | length }} of {{ expectations | length }}
rules are broken.</p>
<ul>{% for problem in problems %}<li>{{ problem }}</li>{% endfor %}</ul>
{% else %}<p class="verdict met">Accepted: all {{ expectations | length }} rules hold.</p>{% endif %}
<h2>What was read</h2>
<div class="scroll"><table>
<tr><th>File</th><th>Rows</th><th>SHA-256</th></tr>
{% for file in dataset.sources %}<tr><td>{{ file.path }}</td><td></td>\
<td><code>{{ file.sha256 }}</code></td></tr>
{% endfor %}{% for part in dataset.parts.values() %}<tr><td>{{ part.file.path }}</td>\
<td class="number">{{ "{:,}".format(part.rows) }}</td><td><code>{{ part.file.sha256 }}</code></td></tr>
{% endfor %}</table></div>
{% for part in dataset.parts %}<h2>{{ part | words | capitalize }}</h2>
<div class="scroll"><table>
<tr><th>Column</th><th>Rule</th><th></th><th>Found</th><th>Failing rows (at most 20)</th></tr>
{% for e in expectations if e.part == part %}<tr><td>{{ e.column or "the part as a whole" }}</td>\
<td>{{ e.rule }}</td>\
<td class="{{ 'met' if e.met else 'broken' }}">{{ "holds" if e.met else "broken" }}</td>\
<td>{{ e.found }}</td><td>{{ e.failing_rows | join(", ") }}</td></tr>
{% endfor %}</table></div>
{% endfor %}<p>Rows are counted from 0 within their part.
Values of personal and protected columns are never shown.</p>
</body>
</html>
"""


def words_of(part: str) -> str:
    """A part's name in a sentence."""
    return f"{part} part" if part in ("train", "test") else f"audit set {part}"


def render(name: str, dataset: Dataset, expectations: Sequence[Expectation], problems: Sequence[str]) -> str:
    """Render the page; the same records give the same bytes."""
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["words"] = words_of
    template = environment.from_string(TEMPLATE)
    return template.render(name=name, dataset=dataset, expectations=expectations, problems=problems)
