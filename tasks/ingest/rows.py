"""A part's rows as a user of the registered model has them: the source's own columns, in pandas."""

from __future__ import annotations

import io

import pandas as pd

from tasks.evidence.records import Dataset
from tasks.ingest.parts import read_raw_part
from tasks.plan.judgement import Judgement
from tasks.plan.source import CsvFormat


def source_rows(dataset: Dataset, part: str, judgement: Judgement) -> pd.DataFrame:
    """Rows of a part as ``pandas.read_csv`` (or ``read_parquet``) gives them, without the label.

    The columns of the protected attributes are among them: a model, this one or one that it is compared
    with, may decide by them.

    Raises:
        SourceError: if the part's bytes are not the pinned ones.
    """
    protected = (attribute.column for attribute in judgement.protected.values())
    names = list(dict.fromkeys((*judgement.data.inputs, *protected)))
    frame = read_raw_part(dataset, part).select(names)
    form = judgement.data.format
    if judgement.data.payload is not None or not isinstance(form, CsvFormat):
        return frame.to_pandas()
    missing = form.null_values[0] if form.null_values else ""
    text = frame.write_csv(null_value=missing)
    return pd.read_csv(io.StringIO(text))
