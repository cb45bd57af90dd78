package tlsutil

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// WriteFiles writes a certificate, with those that it holds of its chain, and its key, in
// PEM: "CERTIFICATE" blocks, and PKCS #8 in a "PRIVATE KEY" block. Both names may be
// that of one file, which then ends with the key. A key that is not the
// certificate's is an error.
//
// A file of that name is replaced at once, never written into; no symbolic link is
// followed, but replaced itself. The key's file can be read by this user alone, whatever
// the umask and whatever was there before; the certificate's has mode 0644. If one
// of the two cannot be written, no temporary file stays behind.
//
// Nothing is replaced before both are written and on disk, and the key is replaced
// last: if the machine fails between the two, what is lost is the old certificate, which
// others have, and not the old key, which nobody has. The two do not fit
// together then; those who read them see that, as [LoadCA] and [WatchFiles] do.
func WriteFiles(cert tls.Certificate, certFile, keyFile string) error {
	if err := writeFiles(&cert, certFile, keyFile); err != nil {
		return fmt.Errorf("tlsutil: writing a certificate: %w", err)
	}
	return nil
}

func writeFiles(cert *tls.Certificate, certFile, keyFile string) error {
	certPEM, keyPEM, err := encode(cert)
	if err != nil {
		return err
	}
	for _, name := range []string{certFile, keyFile} {
		if err := mayReplace(name); err != nil {
			return err
		}
	}
	same, err := isSame(certFile, keyFile)
	if err != nil {
		return err
	}
	files := []*newFile{
		{name: certFile, mode: 0o644, content: certPEM},
		{name: keyFile, mode: 0o600, content: keyPEM},
	}
	if same {
		files = []*newFile{{name: keyFile, mode: 0o600, content: append(certPEM, keyPEM...)}}
	}
	return replaceAll(files)
}

// encode returns both in PEM. Its errors tell nothing of the key.
func encode(cert *tls.Certificate) (certPEM, keyPEM []byte, err error) {
	if len(cert.Certificate) == 0 {
		return nil, nil, errors.New("there is none")
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, nil, err
	}
	if key, ok := cert.PrivateKey.(crypto.Signer); !ok || !isKeyOf(key, leaf) {
		return nil, nil, errors.New("the key is not that of the certificate")
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return nil, nil, err
	}
	for _, der := range cert.Certificate {
		certPEM = append(certPEM, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return certPEM, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), nil
}

// mayReplace finds what a rename would fail for, or would better not replace, before any
// file is replaced.
func mayReplace(name string) error {
	if name == "" {
		return errors.New("a file without a name")
	}
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular() && info.Mode().Type() != fs.ModeSymlink:
		return fmt.Errorf("%s is there and is not a regular file", name)
	}
	return nil
}

// isSame reports whether two names are those of one entry of a folder. That the files
// are the same does not count, as links are not followed.
func isSame(a, b string) (bool, error) {
	if filepath.Base(a) != filepath.Base(b) {
		return false, nil
	}
	folderA, err := os.Stat(filepath.Dir(a))
	if err != nil {
		return false, err
	}
	folderB, err := os.Stat(filepath.Dir(b))
	return err == nil && os.SameFile(folderA, folderB), err
}

// A newFile is a file that is written under a temporary name, until it replaces what is
// called name.
type newFile struct {
	name      string
	mode      fs.FileMode
	content   []byte
	temporary string // while there is one
}

// replaceAll replaces files in their order, once all are written.
func replaceAll(files []*newFile) error {
	for _, f := range files {
		defer f.discard()
		if err := f.write(); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := os.Rename(f.temporary, f.name); err != nil {
			return err
		}
		f.temporary = ""
		if err := syncFolder(filepath.Dir(f.name)); err != nil {
			return err
		}
	}
	return nil
}

// write makes the temporary file, in the folder that it stays in, as a rename does not
// leave the file system.
func (f *newFile) write() (err error) {
	file, err := os.CreateTemp(filepath.Dir(f.name), ".tlsutil-*") // mode 0600, O_EXCL
	if err != nil {
		return err
	}
	f.temporary = file.Name()
	defer func() { err = errors.Join(err, file.Close()) }()
	// The umask may have taken more away than the mode does.
	if err := file.Chmod(f.mode); err != nil {
		return err
	}
	if _, err := file.Write(f.content); err != nil {
		return err
	}
	return file.Sync()
}

// discard removes the temporary file if there is one.
func (f *newFile) discard() {
	if f.temporary != "" {
		os.Remove(f.temporary) // what went wrong before is what the caller is told
	}
}

// syncFolder puts a rename on disk, where that is possible: so the two are there in their
// order also after a failure of power.
func syncFolder(name string) error {
	if runtime.GOOS == "windows" {
		return nil // which has no such thing
	}
	folder, err := os.Open(name)
	if err != nil {
		return nil // one may write into folders that one may not read
	}
	defer folder.Close()
	err = folder.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil // not on this file system
	}
	return err
}
