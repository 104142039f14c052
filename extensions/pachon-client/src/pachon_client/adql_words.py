"""Functions and words of ADQL 2.1 that people write, with what they mean; angles in degrees unless said."""

from __future__ import annotations

from pachon_client.models import Function

_FUNCTIONS = """
ABS(x) -> x without its sign
ACOS(x) -> arc cosine, radians
ASIN(x) -> arc sine, radians
ATAN(x) -> arc tangent, radians
ATAN2(y, x) -> angle of the point (x, y), radians
CEILING(x) -> smallest whole number that is not below x
COS(x) -> cosine of x radians
COT(x) -> cotangent of x radians
DEGREES(x) -> x radians in degrees
EXP(x) -> e to the power x
FLOOR(x) -> largest whole number that is not above x
LOG(x) -> natural logarithm
LOG10(x) -> logarithm to the base 10
MOD(x, y) -> remainder of x / y
PI() -> the number pi
POWER(x, y) -> x to the power y
RADIANS(x) -> x degrees in radians
RAND() -> a random number from 0 to 1
ROUND(x, n) -> x with n decimals
SIN(x) -> sine of x radians
SQRT(x) -> square root
TAN(x) -> tangent of x radians
TRUNCATE(x, n) -> x cut to n decimals
LOWER(text) -> text in small letters
UPPER(text) -> text in capital letters
COALESCE(x, y, ...) -> the first that is not null
CAST(x AS type) -> x as another type: INTEGER, BIGINT, REAL, DOUBLE PRECISION, VARCHAR(n), TIMESTAMP
IN_UNIT(x, 'unit') -> x in another unit (VOUnits), as in IN_UNIT(flux, 'mJy')
AVG(x) -> mean of the rows
COUNT(*) -> number of rows
MAX(x) -> largest value
MIN(x) -> smallest value
SUM(x) -> sum of the rows
AREA(shape) -> area, square degrees
BOX(ra, dec, width, height) -> a box around a centre
CENTROID(shape) -> its centre, a point
CIRCLE(ra, dec, radius) -> a circle around a centre
CONTAINS(point, shape) -> 1 if the shape contains the point, else 0: 1 = CONTAINS(POINT(ra, dec), CIRCLE(56.75, 24, 1))
COORD1(point) -> its right ascension
COORD2(point) -> its declination
COORDSYS(shape) -> name of its coordinate system
DISTANCE(ra1, dec1, ra2, dec2) -> distance along a great circle; also of two points: DISTANCE(p1, p2)
INTERSECTS(shape, shape) -> 1 if they have a place in common, else 0
POINT(ra, dec) -> a position, ICRS
POLYGON(ra1, dec1, ra2, dec2, ra3, dec3, ...) -> a polygon with these corners
REGION('shape') -> a shape in the words of STC-S, as in REGION('CIRCLE 56.75 24.12 1')
"""
_KEYWORDS = """
SELECT DISTINCT TOP FROM WHERE GROUP BY HAVING ORDER ASC DESC OFFSET JOIN INNER LEFT RIGHT FULL OUTER NATURAL ON USING
AS AND OR NOT IN EXISTS BETWEEN LIKE ILIKE IS NULL TRUE FALSE UNION EXCEPT INTERSECT ALL WITH
"""
_RESERVED_TOO = """
BIGINT CHAR DOUBLE INTEGER PRECISION REAL SMALLINT TIMESTAMP VARCHAR
ABSOLUTE ACTION ADD ALLOCATE ALTER ANY ARE ASSERTION AT AUTHORIZATION BEGIN BIT BIT_LENGTH BOTH CASCADE CASCADED CASE
CATALOG CHARACTER CHARACTER_LENGTH CHAR_LENGTH CHECK CLOSE COLLATE COLLATION COLUMN COMMIT CONNECT CONNECTION
CONSTRAINT CONSTRAINTS CONTINUE CONVERT CORRESPONDING CREATE CROSS CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP
CURRENT_USER CURSOR DATE DAY DEALLOCATE DECIMAL DECLARE DEFAULT DEFERRABLE DEFERRED DELETE DESCRIBE DESCRIPTOR
DIAGNOSTICS DISCONNECT DOMAIN DROP ELSE END ESCAPE EXCEPTION EXEC EXECUTE EXTERNAL EXTRACT FETCH FIRST FLOAT FOR
FOREIGN FOUND GET GLOBAL GO GOTO GRANT HOUR IDENTITY IMMEDIATE INDICATOR INITIALLY INPUT INSENSITIVE INSERT INT
INTERVAL INTO ISOLATION KEY LANGUAGE LAST LEADING LEVEL LOCAL MATCH MINUTE MODULE MONTH NAMES NATIONAL NCHAR NEXT NO
NULLIF NUMERIC OCTET_LENGTH OF ONLY OPEN OPTION OUTPUT OVERLAPS PAD PARTIAL POSITION PREPARE PRESERVE PRIMARY PRIOR
PRIVILEGES PROCEDURE PUBLIC READ REFERENCES RELATIVE RESTRICT REVOKE ROLLBACK ROWS SCHEMA SCROLL SECOND SECTION
SESSION SESSION_USER SET SIZE SOME SPACE SQL SQLCODE SQLERROR SQLSTATE SUBSTRING SYSTEM_USER TABLE TEMPORARY THEN TIME
TIMEZONE_HOUR TIMEZONE_MINUTE TO TRAILING TRANSACTION TRANSLATE TRANSLATION TRIM UNIQUE UNKNOWN UPDATE USAGE USER
VALUE VALUES VARYING VIEW WHEN WHENEVER WORK WRITE YEAR ZONE
"""

FUNCTIONS = tuple(
    Function(form=form, description=meaning)
    for form, _, meaning in (line.partition(" -> ") for line in _FUNCTIONS.split("\n") if line)
)
KEYWORDS = tuple(_KEYWORDS.split())
RESERVED = frozenset(KEYWORDS) | frozenset(_RESERVED_TOO.split()) | {function.name for function in FUNCTIONS}
"""Words that are no names unless they are quoted (ADQL 2.1, section 2.1.2)."""
