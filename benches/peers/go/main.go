// sync.Pool in the patterns pair, burst, 100 put, 100 taken and 67 put, 100 taken, beside a plain slice as a stack.
// Run by hand: `go run . [ROUNDS]`. Nothing here is needed to build or test ebbtide.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"time"
)

const (
	room   = 4096
	sample = time.Millisecond
)

var data [64]byte

// peer is take and give of one kind of pool, as one thread has them.
type peer struct {
	name string
	take func() *buffer
	give func(*buffer)
}

// buffer is padded, so that two threads' headers never share a cache line.
type buffer struct {
	bytes []byte
	_     [104]byte
}

func fresh() *buffer { return &buffer{bytes: make([]byte, 0, room)} }

//go:noinline
func work(b *buffer) { b.bytes = append(b.bytes, data[:]...) }

func (b *buffer) clear() { b.bytes = b.bytes[:0] }

// syncPool is shared by all threads.
func syncPool() func() peer {
	pool := &sync.Pool{New: func() any { return fresh() }}
	return func() peer {
		take := func() *buffer { return pool.Get().(*buffer) }
		give := func(b *buffer) { b.clear(); pool.Put(b) }
		return peer{"sync.Pool", take, give}
	}
}

// stack belongs to one thread.
func stack() func() peer {
	return func() peer {
		own := &struct {
			idle []*buffer
			_    [104]byte
		}{idle: make([]*buffer, 0, 1024)}
		take := func() *buffer {
			last := len(own.idle) - 1
			if last < 0 {
				return fresh()
			}
			b := own.idle[last]
			own.idle = own.idle[:last]
			return b
		}
		give := func(b *buffer) { b.clear(); own.idle = append(own.idle, b) }
		return peer{"a thread's slice", take, give}
	}
}

type pattern struct {
	name string
	out  int
	lost int
}

var patterns = []pattern{{"pair", 1, 0}, {"burst of 64", 64, 0}, {"100 put, 100 taken", 100, 0}, {"67 put, 100 taken", 100, 33}}

func (p pattern) run(peer peer, iterations int) {
	out := make([]*buffer, p.out, 128)
	for ; iterations > 0; iterations-- {
		for i := range out {
			out[i] = peer.take()
		}
		for _, b := range out {
			work(b)
		}
		for _, b := range out[p.lost:] {
			peer.give(b)
		}
	}
}

// both runs the pattern on so many threads at once and returns the time until the last has ended.
func both(p pattern, peers []peer, iterations int) time.Duration {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for _, peer := range peers {
		peer := peer
		ready.Add(1)
		done.Add(1)
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			p.run(peer, iterations/10+1)
			ready.Done()
			<-start
			p.run(peer, iterations)
			done.Done()
		}()
	}
	ready.Wait()
	begin := time.Now()
	close(start)
	done.Wait()
	return time.Since(begin)
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

func main() {
	rounds := 41
	if len(os.Args) > 1 {
		rounds, _ = strconv.Atoi(os.Args[1])
	}
	fmt.Printf("%s, %d rounds\n\n| pool | pattern | threads | ns by value |\n|---|---|---:|---:|\n", runtime.Version(), rounds)
	for _, p := range patterns {
		for threads := 1; threads <= 2; threads++ {
			kinds := []func() peer{syncPool(), stack()}
			nanos := make([][]float64, len(kinds))
			for round := 0; round < rounds; round++ {
				for k, kind := range kinds {
					peers := []peer{kind(), kind()}[:threads]
					iterations := int(4*sample/(20*time.Nanosecond)) / p.out
					time := both(p, peers, iterations)
					nanos[k] = append(nanos[k], float64(time.Nanoseconds())/float64(iterations*p.out))
				}
			}
			for k, kind := range kinds {
				fmt.Printf("| %s | %s | %d | %.1f |\n", kind().name, p.name, threads, median(nanos[k]))
			}
		}
	}
}
