// Package plugins is the catalogue of plugin runtimes. This build has none: a configuration with
// experimental.plugins or a middleware of kind plugin is refused.
package plugins
