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

// take and give of one kind of pool, as one thread has them.
type peer struct {
	name string
	take func() *[]byte
	give func(*[]byte)
}

func fresh() *[]byte {
	buffer := make([]byte, 0, room)
	return &buffer
}

//go:noinline
func work(buffer *[]byte) { *buffer = append(*buffer, data[:]...) }

// syncPool is shared by all threads.
func syncPool() func() peer {
	pool := &sync.Pool{New: func() any { return fresh() }}
	return func() peer {
		take := func() *[]byte { return pool.Get().(*[]byte) }
		give := func(buffer *[]byte) { *buffer = (*buffer)[:0]; pool.Put(buffer) }
		return peer{"sync.Pool", take, give}
	}
}

// stack belongs to one thread.
func stack() func() peer {
	return func() peer {
		var idle []*[]byte
		take := func() *[]byte {
			if len(idle) == 0 {
				return fresh()
			}
			buffer := idle[len(idle)-1]
			idle = idle[:len(idle)-1]
			return buffer
		}
		give := func(buffer *[]byte) { *buffer = (*buffer)[:0]; idle = append(idle, buffer) }
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
	out := make([]*[]byte, p.out)
	for ; iterations > 0; iterations-- {
		for i := range out {
			out[i] = peer.take()
		}
		for _, buffer := range out {
			work(buffer)
		}
		for _, buffer := range out[p.lost:] {
			peer.give(buffer)
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
