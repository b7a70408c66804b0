# Reads the output of several rounds of the benches and prints, for each measurement beside the first one of its group
# (and of its parameter), the median time of both in ns and the median, least and largest of the rounds' ratios.

function sorted_middle(list, n,    i, j, x) {
    for (i = 2; i <= n; i++) {
        x = list[i]
        for (j = i - 1; j > 0 && list[j] > x; j--) list[j + 1] = list[j]
        list[j + 1] = x
    }
    return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

function middle(name,    i, list) {
    for (i = 1; i <= rounds[name]; i++) list[i] = time[name, i]
    return sorted_middle(list, rounds[name])
}

# `buffer/ebbtide/512` is measured beside `buffer/vec_to_bytes/512`, `http/hyper/ebbtide/16` beside `http/hyper/bare/16`,
# `pool/costly/ebbtide` beside `pool/costly/fresh`.
function group_of(name,    parts, count) {
    count = split(name, parts, "/")
    if (parts[1] == "buffer") return parts[1] "/" parts[3]
    if (parts[1] == "http" || parts[1] == "compress") return parts[1] "/" parts[2] "/" parts[4]
    sub(/\/[^\/]*$/, "", name)
    return name
}

BEGIN { unit["ns"] = 1; unit["µs"] = 1000; unit["ms"] = 1000000 }

/^(pool|buffer|arena|request|http|compress)\// { name = $1 }

# Beside a throughput, the change since the last run has a line of its own with the same word, in percent.
/time: +\[/ {
    sub(/.*time: +\[/, "")
    if (!($4 in unit)) next
    if (!(name in rounds)) order[++names] = name
    time[name, ++rounds[name]] = $3 * unit[$4]
}

END {
    for (i = 1; i <= names; i++) {
        name = order[i]
        group = group_of(name)
        if (!(group in first)) { first[group] = name; continue }
        base = first[group]
        for (j = 1; j <= rounds[name]; j++) ratio[j] = time[base, j] / time[name, j]
        m = sorted_middle(ratio, rounds[name])
        printf "%-26s %8.1f  %-28s %8.1f  %5.2f (%.2f-%.2f)\n", base, middle(base), name, middle(name), m, ratio[1], ratio[rounds[name]]
    }
}
