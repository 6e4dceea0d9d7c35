// Package mlog stands in for monis.app/mlog, the logging library of Azure's KMS plugin, which the public Go proxy does
// not serve. It is written for Kyanite from the calls that the plugin makes; see the README beside the module above.
//
// It writes one line a message to standard error, as text or as JSON, and drops what the verbosity does not ask for.
package mlog

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// LogFormat is how a line is written.
type LogFormat string

// The formats that the plugin's --log-format-json chooses between.
const (
	FormatText LogFormat = "text"
	FormatJSON LogFormat = "json"
)

// The verbosities of the plugin's -v.
const (
	levelInfo  klog.Level = 2
	levelDebug klog.Level = 4
	levelTrace klog.Level = 6
)

var (
	mutex  sync.Mutex
	format = FormatText
	level  klog.Level
)

// Setup returns what flushes the log at the end; lines are never held back here.
func Setup() func() { return func() {} }

// ValidateAndSetKlogLevelAndFormatGlobally sets the verbosity and the format of the process.
func ValidateAndSetKlogLevelAndFormatGlobally(_ context.Context, verbosity klog.Level, as LogFormat) error {
	if as != FormatText && as != FormatJSON {
		return fmt.Errorf("log format %q is not known", as)
	}
	mutex.Lock()
	defer mutex.Unlock()
	level, format = verbosity, as
	return nil
}

// Always logs at every verbosity.
func Always(message string, pairs ...any) { log(0, "info", message, nil, pairs) }

// Info logs from verbosity 2.
func Info(message string, pairs ...any) { log(levelInfo, "info", message, nil, pairs) }

// Debug logs from verbosity 4.
func Debug(message string, pairs ...any) { log(levelDebug, "debug", message, nil, pairs) }

// Trace logs from verbosity 6.
func Trace(message string, pairs ...any) { log(levelTrace, "trace", message, nil, pairs) }

// Error logs a failure at every verbosity.
func Error(message string, err error, pairs ...any) { log(0, "error", message, err, pairs) }

// Fatal logs a failure and ends the process.
func Fatal(err error, pairs ...any) {
	log(0, "error", "fatal", err, pairs)
	os.Exit(1)
}

func log(from klog.Level, severity, message string, err error, pairs []any) {
	mutex.Lock()
	defer mutex.Unlock()
	if level < from {
		return
	}
	if err != nil {
		pairs = append([]any{"error", err.Error()}, pairs...)
	}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	if format == FormatJSON {
		line := map[string]any{"level": severity, "timestamp": now, "message": message}
		for index := 0; index < len(pairs); index += 2 {
			line[fmt.Sprint(pairs[index])] = value(pairs, index)
		}
		encoded, _ := json.Marshal(line)
		fmt.Fprintln(os.Stderr, string(encoded))
		return
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%s %s %q", now, severity, message)
	for index := 0; index < len(pairs); index += 2 {
		fmt.Fprintf(&line, " %v=%q", pairs[index], value(pairs, index))
	}
	fmt.Fprintln(os.Stderr, line.String())
}

// The value of the pair at index; a key without one has a blank.
func value(pairs []any, index int) string {
	if index+1 >= len(pairs) {
		return ""
	}
	return fmt.Sprint(pairs[index+1])
}
