// Buffers that grow, with sync.Pool and without: the same work as ../../src/bin/growing.rs, in the same form of table.
// Run by hand, from the folder above: `go run ./growing [ROUNDS]`. Nothing here is needed to build or test ebbtide.
package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"time"
)

const (
	requests = 10000
	piece    = 512
	// The largest body, in pieces: 64 KiB.
	largest = 128
)

var (
	data [piece]byte
	sink int
)

// grow appends so many pieces, as a handler that renders its response.
//
//go:noinline
func grow(buffer *bytes.Buffer, pieces int) {
	for ; pieces > 0; pieces-- {
		buffer.Write(data[:])
	}
	sink += buffer.Len()
}

func fresh(pieces int) {
	grow(new(bytes.Buffer), pieces)
}

var pool = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func pooled(pieces int) {
	buffer := pool.Get().(*bytes.Buffer)
	grow(buffer, pieces)
	buffer.Reset()
	pool.Put(buffer)
}

// measure gives megabytes allocated in all, collections, and nanoseconds a request.
func measure(way func(int)) (megabytes float64, collections uint32, nanos float64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	for i := 0; i < requests; i++ {
		way(1 + i*37%largest)
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc-before.TotalAlloc) / 1e6, after.NumGC - before.NumGC, float64(took.Nanoseconds()) / requests
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

func main() {
	rounds := 15
	if len(os.Args) > 1 {
		if given, err := strconv.Atoi(os.Args[1]); err == nil && given > 0 {
			rounds = given
		}
	}
	ways := []struct {
		name string
		run  func(int)
	}{{"fresh", fresh}, {"pooled", pooled}}
	var megabytes, nanos, collections [2][]float64
	for round := 0; round <= rounds; round++ {
		for w, way := range ways {
			m, c, n := measure(way.run)
			// The first round warms up.
			if round > 0 {
				megabytes[w], collections[w], nanos[w] = append(megabytes[w], m), append(collections[w], float64(c)), append(nanos[w], n)
			}
		}
	}
	fmt.Printf("%s, %d rounds of %d requests\n\n", runtime.Version(), rounds, requests)
	fmt.Println("| | allocated in all, MB | ns a request | collections |\n|---|---:|---:|---:|")
	for w, way := range ways {
		fmt.Printf("| Go, %s | %.1f | %.0f | %.0f |\n", way.name, median(megabytes[w]), median(nanos[w]), median(collections[w]))
	}
	fmt.Printf("\nThe pool is %.1f times ahead.\n", median(nanos[0])/median(nanos[1]))
}
