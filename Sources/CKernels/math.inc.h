// The math half of the table: one file per operator family.
static const quern_math_table MATH_TABLE = {0};
