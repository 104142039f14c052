"""Which optional parts of ADQL 2.1 are offered, in the words of TAPRegExt 1.0 and ADQL 2.1, section 4.

COALESCE stands under the key that ADQL 2.1 gives it. Validators older than that standard (such as STILTS 3.4) call the
key unknown; to hide the function from the clients that read the list would be worse.
"""

from __future__ import annotations

from pachon.queries.adql.functions import GEOMETRY
from pachon.queries.adql.udfs import USER_FUNCTIONS
from pachon.vo.vosi import Feature

_TYPE = "ivo://ivoa.net/std/TAPRegExt#features-"
_OTHERS = {
    "adql-string": ("LOWER", "UPPER", "ILIKE"),
    "adql-common-table": ("WITH",),
    "adql-sets": ("UNION", "EXCEPT", "INTERSECT"),
    "adql-type": ("CAST",),
    "adql-conditional": ("COALESCE",),
    "adql-unit": ("IN_UNIT",),
    "adql-offset": ("OFFSET",),
}

FEATURES = (
    *(Feature(f"{_TYPE}adqlgeo", name) for name in sorted(GEOMETRY)),
    *(Feature(f"{_TYPE}{kind}", form) for kind, forms in _OTHERS.items() for form in forms),
    *(
        Feature(f"{_TYPE}udf", form, function.description)
        for function in USER_FUNCTIONS.values()
        for form in function.forms
    ),
)
