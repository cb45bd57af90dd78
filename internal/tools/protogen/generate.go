package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"golang.org/x/mod/modfile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// plugins are the tools of this module that make code, with their parameters.
var plugins = []struct{ name, parameter string }{
	{"protoc-gen-go", "default_api_level=API_OPAQUE"},
	{"protoc-gen-go-grpc", ""},
}

// generate returns the generated files of the module in the folder root, by their
// names from there.
func generate(ctx context.Context, root string) (map[string][]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	module := modfile.ModulePath(text)
	if module == "" {
		return nil, fmt.Errorf("%s names no module", filepath.Join(root, "go.mod"))
	}
	sources, err := find(root, ".proto")
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		return nil, fmt.Errorf("no .proto files in %s", root)
	}
	request, err := compile(ctx, root, module, sources)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for _, p := range plugins {
		request.Parameter = new(strings.Trim("module="+module+","+p.parameter, ","))
		answer, err := runPlugin(ctx, p.name, request)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		for _, f := range answer.GetFile() {
			if !filepath.IsLocal(f.GetName()) || f.GetInsertionPoint() != "" {
				return nil, fmt.Errorf("%s: a file %q is not for this module", p.name, f.GetName())
			}
			files[f.GetName()] = []byte(f.GetContent())
		}
	}
	return files, nil
}

// find returns the files of a module whose names end in suffix, with slashes.
func find(root, suffix string) (names []string, err error) {
	files := os.DirFS(root)
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			if strings.HasSuffix(name, suffix) {
				names = append(names, name)
			}
			return nil
		case name == ".":
			return nil
		}
		_, err = fs.Stat(files, path.Join(name, "go.mod"))
		if err == nil || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		return nil
	})
	return names, err
}

// compile returns what plug-ins are told of the sources, comments included.
func compile(ctx context.Context, root, module string, sources []string) (*pluginpb.CodeGeneratorRequest, error) {
	request := &pluginpb.CodeGeneratorRequest{}
	for _, name := range sources {
		request.FileToGenerate = append(request.FileToGenerate, path.Join(module, name))
	}
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			Accessor: func(name string) (io.ReadCloser, error) {
				local, ok := strings.CutPrefix(name, module+"/")
				if !ok || !filepath.IsLocal(local) {
					return nil, fs.ErrNotExist
				}
				return os.Open(filepath.Join(root, filepath.FromSlash(local)))
			},
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	compiled, err := compiler.Compile(ctx, request.FileToGenerate...)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	for _, f := range compiled {
		request.ProtoFile = appendFile(request.ProtoFile, seen, f)
	}
	return request, nil
}

// appendFile appends a file behind those that it imports, the order that plug-ins
// expect.
func appendFile(list []*descriptorpb.FileDescriptorProto, seen map[string]bool, f protoreflect.FileDescriptor) []*descriptorpb.FileDescriptorProto {
	if seen[f.Path()] {
		return list
	}
	seen[f.Path()] = true
	for i := range f.Imports().Len() {
		list = appendFile(list, seen, f.Imports().Get(i).FileDescriptor)
	}
	return append(list, protoutil.ProtoFromFileDescriptor(f))
}

// runPlugin runs a tool of the module of this program.
func runPlugin(ctx context.Context, name string, request *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	in, err := proto.Marshal(request)
	if err != nil {
		return nil, err
	}
	var out, text bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "tool", name)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &text
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, text.Bytes())
	}
	answer := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(out.Bytes(), answer); err != nil {
		return nil, err
	}
	if answer.GetError() != "" {
		return nil, errors.New(answer.GetError())
	}
	return answer, nil
}
