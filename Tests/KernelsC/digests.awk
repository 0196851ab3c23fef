# awk -f digests.awk REFERENCE REPORT: every digest in the report must be the reference's for that function.
$(NF - 2) != "values" { next }
{
  name = $2
  for (i = 3; i < NF - 5; i++) name = name " " $i
}
FILENAME == ARGV[1] { reference[name] = $(NF - 1); next }
reference[name] == $(NF - 1) { same++; next }
{ print "another digest than on this machine: " $1 " " name; different++ }
END {
  if (!same) print "no digests to compare"
  else if (!different) print same " digests are the same as on this machine"
  exit different || !same
}
