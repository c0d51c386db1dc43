// habits does one thing that programs do, as its first argument says.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	switch os.Args[1] {
	case "talk":
		talk(os.Args[2])
	case "give-up":
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		_, err := (&net.Dialer{}).DialContext(ctx, "tcp", os.Args[2])
		fmt.Println(err, time.Since(begun).Round(time.Second))
	case "refused":
		_, err := net.Dial("tcp", os.Args[2])
		fmt.Println(err)
	case "listen-for-signals":
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		begun := time.Now()
		<-ctx.Done()
		stop()
		fmt.Println("asked to end after", time.Since(begun).Round(time.Second))
	case "listen-and-go-on":
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		signal.Stop(signals)
		fmt.Println("goes on")
	case "impatient":
		impatient(os.Args[2])
	case "serve":
		l, err := net.Listen("tcp", ":8080")
		must(err)
		fmt.Println("listening at", l.Addr().(*net.TCPAddr).Port)
		_, err = net.Listen("tcp", ":8080")
		fmt.Println(err)
		any, err := net.Listen("tcp", "127.0.0.1:0")
		must(err)
		fmt.Println("and at", any.Addr())
		any.Close()
		must(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s of %d bytes", r.URL.Path, len(b))
		})))
	case "ask":
		for i := range 3 {
			resp, err := http.Post("http://"+os.Args[2]+"/orders", "text/plain", strings.NewReader(strings.Repeat("x", 100_000*i)))
			if err != nil {
				fmt.Println(err)
				time.Sleep(time.Second)
				continue
			}
			b, _ := io.ReadAll(resp.Body)
			fmt.Println(resp.StatusCode, string(b))
		}
	case "files":
		files()
	case "store":
		must(os.MkdirAll("/store", 0o755))
		for _, name := range []string{"synced", "not-synced"} {
			f, err := os.Create("/store/" + name)
			must(err)
			f.WriteString("what " + name)
			if name == "synced" {
				must(f.Sync())
				dir, err := os.Open("/store")
				must(err)
				must(dir.Sync())
				top, err := os.Open("/")
				must(err)
				must(top.Sync())
			}
		}
		fmt.Println("stored")
		time.Sleep(time.Hour)
	case "look":
		for _, name := range []string{"synced", "not-synced"} {
			b, err := os.ReadFile("/store/" + name)
			fmt.Println(string(b), err)
		}
	case "stubborn":
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		<-signals
		fmt.Println("not now")
		time.Sleep(time.Hour)
	case "deaf":
		time.Sleep(time.Hour)
	case "since":
		begun := time.Now()
		for time.Since(begun) < 10*time.Millisecond {
		}
		fmt.Println("10ms are over")
	case "spin":
		for i := 0; ; i++ {
			if i < 0 {
				fmt.Println("never")
			}
		}
	case "panic":
		panic("something was wrong")
	case "exit":
		os.Exit(3)
	case "luck":
		m := map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true}
		for k := range m {
			fmt.Print(k)
		}
		b := make([]byte, 4)
		rand.Read(b)
		fmt.Printf(" %x\n", b)
	case "tell":
		for i := 0; ; i++ {
			fmt.Println("line", i)
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// files uses a directory as services do.
func files() {
	fmt.Println(os.Mkdir("a/b", 0o755))
	must(os.MkdirAll("a/b", 0o755))
	fmt.Println(os.Mkdir("/a", 0o755))
	must(os.WriteFile("a/b/one", []byte("first"), 0o644))
	f, err := os.OpenFile("/a/b/one", os.O_APPEND|os.O_RDWR, 0)
	must(err)
	fmt.Fprint(f, " second")
	must(f.Sync())
	_, err = f.WriteAt([]byte("F"), 0)
	fmt.Println(err)
	f.Seek(-6, io.SeekEnd)
	rest, _ := io.ReadAll(f)
	fmt.Println(string(rest))
	must(f.Truncate(5))
	info, _ := f.Stat()
	fmt.Println(info.Size(), info.Mode().IsRegular())
	_, err = os.OpenFile("a/b/one", os.O_CREATE|os.O_EXCL, 0o644)
	fmt.Println(err)
	must(os.Rename("a/b/one", "a/two"))
	_, err = os.ReadFile("a/b/one")
	fmt.Println(err, errors.Is(err, os.ErrNotExist))
	b, err := os.ReadFile("a/two")
	fmt.Println(string(b), err)
	for i := range 100 {
		must(os.WriteFile(fmt.Sprintf("a/b/a-rather-long-name-of-a-file-%03d", i), nil, 0o644))
	}
	all, err := os.ReadDir("a/b")
	fmt.Println(len(all), all[99].Name(), err)
	top, _ := os.ReadDir("a")
	fmt.Println(top)
	fmt.Println(os.Remove("a"))
	_, err = os.Create("no/such/place")
	fmt.Println(err)
	must(os.RemoveAll("a"))
	_, err = os.Stat("a")
	fmt.Println(err)
	dir, _ := os.Getwd()
	fmt.Println(dir)
}

// impatient spins until what another goroutine reads has come.
func impatient(addr string) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		fmt.Println(err)
		return
	}
	var mu sync.Mutex
	got := false
	go func() {
		c.Write([]byte("x"))
		c.Read(make([]byte, 1))
		mu.Lock()
		got = true
		mu.Unlock()
	}()
	for {
		mu.Lock()
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if got {
			fmt.Println("it has come")
			return
		}
		mu.Unlock()
	}
}

func talk(addr string) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("connected to", c.RemoteAddr())
	big := make([]byte, 300_000)
	go c.Write(big)
	got := 0
	for got < len(big) {
		n, err := c.Read(big)
		if err != nil {
			fmt.Println(err)
			return
		}
		got += n
	}
	fmt.Println("read", got, "bytes back")
	c.SetReadDeadline(time.Now().Add(time.Second))
	_, err = c.Read(big)
	fmt.Println(err)
	c.Close()
}
