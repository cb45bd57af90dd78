package httpmw

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// maxLinks is how many symbolic links one name may lead through, as on Linux.
const maxLinks = 40

// RestrictFS returns fsys without what has a name that begins with prefix: such files
// cannot be opened, do not appear in directories, and symbolic links to them, or through
// them, are refused with [fs.ErrNotExist] if fsys is an [fs.ReadLinkFS], as [os.DirFS] and
// those of [os.Root] are. Only Exempt of the options counts. As with [RestrictPrefix] a name
// ends at "/", "\" and NUL.
//
// Links are followed by RestrictFS itself, 40 at most. One that is absolute, leaves fsys, or
// leads nowhere is refused too, and none that is refused appears in directories. What
// changes the tree while a name is looked up may still lead it astray; so may hard links,
// and file systems that have several names for one file, of which RestrictPrefix tells.
//
// The file system returned implements [fs.StatFS], [fs.ReadDirFS], [fs.ReadFileFS] and
// [fs.ReadLinkFS]. Its errors are of type [*fs.PathError], and the same for what is hidden
// as for what is missing. Files can do what those of fsys can; those that were reached by a
// link, [io.Seeker] and [io.ReaderAt] of it, and directories, [fs.ReadDirFile]. Calls may be
// made at the same time if those of fsys may.
//
// It panics as [RestrictPrefix] does.
func RestrictFS(fsys fs.FS, prefix string, opts *RestrictOptions) fs.FS {
	f := &restrictedFS{fsys: fsys, rule: newRestriction("RestrictFS", prefix, opts)}
	f.links, _ = fsys.(fs.ReadLinkFS)
	return f
}

type restrictedFS struct {
	fsys  fs.FS
	links fs.ReadLinkFS // nil if fsys has no links
	rule  restriction
}

// Open opens a file.
func (f *restrictedFS) Open(name string) (fs.File, error) {
	actual, err := f.resolve("open", name)
	if err != nil {
		return nil, err
	}
	file, err := f.fsys.Open(actual)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return f.wrap(file, name, actual)
}

// Stat implements [fs.StatFS].
func (f *restrictedFS) Stat(name string) (fs.FileInfo, error) {
	actual, err := f.resolve("stat", name)
	if err != nil {
		return nil, err
	}
	info, err := fs.Stat(f.fsys, actual)
	if err != nil {
		return nil, pathError("stat", name, err)
	}
	return rename(info, name, actual), nil
}

// ReadDir implements [fs.ReadDirFS].
func (f *restrictedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	actual, err := f.resolve("readdir", name)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(f.fsys, actual)
	if err != nil {
		err = pathError("readdir", name, err)
	}
	return f.visible(actual, entries), err
}

// ReadFile implements [fs.ReadFileFS].
func (f *restrictedFS) ReadFile(name string) ([]byte, error) {
	actual, err := f.resolve("readfile", name)
	if err != nil {
		return nil, err
	}
	data, err := fs.ReadFile(f.fsys, actual)
	if err != nil {
		err = pathError("readfile", name, err)
	}
	return data, err
}

// ReadLink implements [fs.ReadLinkFS].
func (f *restrictedFS) ReadLink(name string) (string, error) {
	actual, err := f.resolveEntry("readlink", name)
	if err != nil {
		return "", err
	}
	target, err := fs.ReadLink(f.fsys, actual)
	if err != nil {
		return "", pathError("readlink", name, err)
	}
	return target, nil
}

// Lstat implements [fs.ReadLinkFS].
func (f *restrictedFS) Lstat(name string) (fs.FileInfo, error) {
	actual, err := f.resolveEntry("lstat", name)
	if err != nil {
		return nil, err
	}
	info, err := fs.Lstat(f.fsys, actual)
	if err != nil {
		return nil, pathError("lstat", name, err)
	}
	return info, nil
}

// resolve returns what name is called in fsys without links. Errors are ready for the
// caller of op.
func (f *restrictedFS) resolve(op, name string) (string, error) {
	if !fs.ValidPath(name) {
		return "", pathError(op, name, fs.ErrInvalid)
	}
	actual, err := f.follow(".", name)
	if err != nil {
		return "", pathError(op, name, err)
	}
	return actual, nil
}

// resolveEntry is resolve for the link that name may be, which must lead somewhere.
func (f *restrictedFS) resolveEntry(op, name string) (string, error) {
	if _, err := f.resolve(op, name); err != nil {
		return "", err
	}
	dir, err := f.resolve(op, path.Dir(name))
	if err != nil {
		return "", err
	}
	return path.Join(dir, path.Base(name)), nil
}

// follow goes from a directory, whose name has no links in it, along a relative path, and
// returns where that ends.
func (f *restrictedFS) follow(dir, rest string) (string, error) {
	if f.hides(rest) {
		return "", fs.ErrNotExist
	}
	if f.links == nil {
		return path.Join(dir, rest), nil
	}
	for links := 0; rest != ""; {
		var elem string
		elem, rest, _ = strings.Cut(rest, "/")
		switch elem {
		case "", ".":
			continue
		case "..":
			if dir == "." {
				return "", fs.ErrNotExist // nobody knows the names out there
			}
			dir = path.Dir(dir)
			continue
		}
		next := path.Join(dir, elem)
		info, err := f.links.Lstat(next)
		if err != nil {
			return "", err
		}
		target, isLink, err := f.target(next, info.Mode())
		switch {
		case err != nil:
			return "", err
		case isLink:
			if links++; links > maxLinks {
				return "", fs.ErrNotExist
			}
			rest = target + "/" + rest
		case rest != "" && !info.IsDir():
			return "", fs.ErrNotExist
		default:
			dir = next
		}
	}
	return dir, nil
}

// target returns where a link of that name and mode leads, if it is one.
func (f *restrictedFS) target(name string, mode fs.FileMode) (target string, isLink bool, err error) {
	// A directory junction of Windows is irregular, and can be read as a link.
	if mode&(fs.ModeSymlink|fs.ModeIrregular) == 0 {
		return "", false, nil
	}
	target, err = f.links.ReadLink(name)
	if err != nil && mode&fs.ModeSymlink == 0 {
		return "", false, nil
	}
	if err != nil {
		return "", true, err
	}
	slashed := filepath.ToSlash(target)
	if slashed == "" || slashed[0] == '/' || filepath.VolumeName(target) != "" || f.hides(slashed) {
		return "", true, fs.ErrNotExist
	}
	return slashed, true, nil
}

// hides reports whether a name has a restricted segment. Names of a file system are not
// encoded.
func (f *restrictedFS) hides(name string) bool {
	return f.rule.scan(name)&foundRestricted != 0
}

// visible returns those entries of a directory that can be opened. The slice may be one
// that fsys keeps.
func (f *restrictedFS) visible(dir string, entries []fs.DirEntry) []fs.DirEntry {
	var shown []fs.DirEntry
	for _, e := range entries {
		if f.hides(e.Name()) {
			continue
		}
		if f.links != nil && e.Type()&(fs.ModeSymlink|fs.ModeIrregular) != 0 {
			if _, err := f.follow(dir, e.Name()); err != nil {
				continue
			}
		}
		shown = append(shown, e)
	}
	return shown
}

// pathError returns err as one of op and name, and the same for all that is missing, so that
// it does not tell why.
func pathError(op, name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		err = fs.ErrNotExist
	} else if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err // without the name in fsys
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}
