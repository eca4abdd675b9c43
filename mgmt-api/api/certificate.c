/*
 * Files are written whole: a temporary file, fsync, rename, fsync of the directory. Each step of the first start can
 * be cut off and is taken up again by the next one: a key without certificate gets its certificate, anything that
 * does not fit together is an error and not silently replaced.
 */
#include "mgmt-api/api/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CA_DAYS = 3650, SERVER_DAYS = 397, RENEW_DAYS = 30, DAY_S = 24 * 60 * 60 };

static bool fail(char error[static 256], const char *what, const char *path)
{
	unsigned long code = ERR_peek_last_error();

	snprintf(error, 256, "%s %s: %s", what, path, code != 0 ? ERR_reason_error_string(code) : strerror(errno));
	ERR_clear_error();
	return false;
}

static void path_of(char out[static PATH_MAX], const char *directory, const char *name)
{
	snprintf(out, PATH_MAX, "%s/%s", directory, name);
}

/* Writes what fill() prints. */
static bool write_file(const char *directory, const char *name, mode_t mode, EVP_PKEY *key, X509 *certificate)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	int fd, folder;
	FILE *file;
	bool good;

	path_of(path, directory, name);
	if (snprintf(temporary, sizeof(temporary), "%s/.%s.new", directory, name) >= (int)sizeof(temporary))
		return false;
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0 || (file = fdopen(fd, "w")) == NULL)
		return false;
	good = (key == NULL || PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1) &&
	       (certificate == NULL || PEM_write_X509(file, certificate) == 1) && fflush(file) == 0 && fsync(fd) == 0;
	good = fclose(file) == 0 && good && rename(temporary, path) == 0;
	folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	good = good && folder >= 0 && fsync(folder) == 0;
	if (folder >= 0)
		close(folder);
	return good;
}

/* Null and errno ENOENT when the file is not there. */
static EVP_PKEY *read_key(const char *directory, const char *name)
{
	char path[PATH_MAX];
	EVP_PKEY *key;
	FILE *file;

	path_of(path, directory, name);
	if ((file = fopen(path, "re")) == NULL)
		return NULL;
	key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	if (key == NULL)
		errno = EINVAL;
	return key;
}

static X509 *read_certificate(const char *directory, const char *name)
{
	char path[PATH_MAX];
	X509 *certificate;
	FILE *file;

	path_of(path, directory, name);
	if ((file = fopen(path, "re")) == NULL)
		return NULL;
	certificate = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	if (certificate == NULL)
		errno = EINVAL;
	return certificate;
}

static bool extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	bool good;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	good = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return good;
}

static bool set_serial(X509 *certificate)
{
	unsigned char bytes[16];
	BIGNUM *number;
	bool good;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] &= 0x7f;
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	good = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
	BN_free(number);
	return good;
}

/* What both certificates have; valid from a day ago, because clocks of clients differ. */
static X509 *certificate_begin(EVP_PKEY *key, const char *name, int days)
{
	X509 *c = X509_new();
	X509_NAME *subject;

	if (c == NULL)
		return NULL;
	subject = X509_get_subject_name(c);
	if (X509_set_version(c, X509_VERSION_3) != 1 || !set_serial(c) ||
	    X509_gmtime_adj(X509_getm_notBefore(c), -DAY_S) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(c), (long)days * DAY_S) == NULL ||
	    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"Sluice", -1, -1, 0) != 1 ||
	    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) != 1 ||
	    X509_set_pubkey(c, key) != 1) {
		X509_free(c);
		return NULL;
	}
	return c;
}

static X509 *make_ca(EVP_PKEY *key)
{
	char name[64];
	X509 *c;

	/* The time in the name tells apart the authorities of boxes, and of a box that was reinstalled. */
	snprintf(name, sizeof(name), "Sluice API CA %lld", (long long)time(NULL));
	c = certificate_begin(key, name, CA_DAYS);
	if (c == NULL)
		return NULL;
	if (X509_set_issuer_name(c, X509_get_subject_name(c)) == 1 &&
	    extend(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	    extend(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	    extend(c, c, NID_subject_key_identifier, "hash") && X509_sign(c, key, EVP_sha256()) > 0)
		return c;
	X509_free(c);
	return NULL;
}

static X509 *make_server(EVP_PKEY *key, EVP_PKEY *ca_key, X509 *ca, const char *address)
{
	char names[256];
	X509 *c = certificate_begin(key, "sluice-api", SERVER_DAYS);

	if (c == NULL)
		return NULL;
	snprintf(names, sizeof(names), "DNS:sluice-api,DNS:localhost,IP:127.0.0.1,IP:::1,IP:%s", address);
	if (X509_set_issuer_name(c, X509_get_subject_name(ca)) == 1 &&
	    extend(c, ca, NID_basic_constraints, "critical,CA:FALSE") &&
	    extend(c, ca, NID_key_usage, "critical,digitalSignature") &&
	    extend(c, ca, NID_ext_key_usage, "serverAuth") && extend(c, ca, NID_subject_key_identifier, "hash") &&
	    extend(c, ca, NID_authority_key_identifier, "keyid") && extend(c, ca, NID_subject_alt_name, names) &&
	    X509_sign(c, ca_key, EVP_sha256()) > 0)
		return c;
	X509_free(c);
	return NULL;
}

static bool authority(const char *directory, EVP_PKEY **key, X509 **certificate, char error[static 256])
{
	*key = read_key(directory, "ca.key");
	if (*key == NULL && errno == ENOENT) {
		*key = EVP_EC_gen("P-256");
		if (*key == NULL || !write_file(directory, "ca.key", 0600, *key, NULL))
			return fail(error, "cannot write the authority's key in", directory);
	}
	if (*key == NULL)
		return fail(error, "cannot read ca.key in", directory);
	*certificate = read_certificate(directory, "ca.crt");
	if (*certificate == NULL && errno == ENOENT) {
		*certificate = make_ca(*key);
		if (*certificate == NULL || !write_file(directory, "ca.crt", 0644, NULL, *certificate))
			return fail(error, "cannot write the authority's certificate in", directory);
	}
	if (*certificate == NULL)
		return fail(error, "cannot read ca.crt in", directory);
	if (X509_check_private_key(*certificate, *key) != 1) {
		snprintf(error, 256, "ca.key and ca.crt in %.180s do not belong together", directory);
		return false;
	}
	return true;
}

/* Is the server's certificate good for this authority and address, and for some time? */
static bool usable(X509 *certificate, EVP_PKEY *key, X509 *ca, const char *address)
{
	time_t soon = time(NULL) + (time_t)RENEW_DAYS * DAY_S;
	EVP_PKEY *ca_key = X509_get0_pubkey(ca);

	return certificate != NULL && key != NULL && X509_check_private_key(certificate, key) == 1 &&
	       X509_verify(certificate, ca_key) == 1 && X509_check_ip_asc(certificate, address, 0) == 1 &&
	       X509_cmp_time(X509_get0_notAfter(certificate), &soon) > 0;
}

static char *pem(EVP_PKEY *key, X509 *first, X509 *second)
{
	BIO *memory = BIO_new(BIO_s_mem());
	char *bytes, *copy = NULL;
	long n;

	if (memory != NULL && (key == NULL || PEM_write_bio_PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL) == 1) &&
	    (first == NULL || PEM_write_bio_X509(memory, first) == 1) &&
	    (second == NULL || PEM_write_bio_X509(memory, second) == 1)) {
		n = BIO_get_mem_data(memory, &bytes);
		copy = strndup(bytes, (size_t)n);
	}
	BIO_free(memory);
	return copy;
}

bool certificate_load(const char *directory, const char *address, struct certificate *out, char error[static 256])
{
	EVP_PKEY *ca_key = NULL, *key = NULL;
	X509 *ca = NULL, *certificate = NULL;
	bool good;

	*out = (struct certificate){0};
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return fail(error, "cannot make", directory);
	good = authority(directory, &ca_key, &ca, error);
	if (good) {
		key = read_key(directory, "server.pem");
		certificate = read_certificate(directory, "server.pem");
		if (!usable(certificate, key, ca, address)) {
			EVP_PKEY_free(key);
			X509_free(certificate);
			ERR_clear_error();
			key = EVP_EC_gen("P-256");
			certificate = key == NULL ? NULL : make_server(key, ca_key, ca, address);
			good = certificate != NULL && write_file(directory, "server.pem", 0600, key, certificate);
			if (!good)
				fail(error, "cannot write the server's certificate in", directory);
		}
	}
	if (good) {
		out->key = pem(key, NULL, NULL);
		out->chain = pem(NULL, certificate, ca);
		good = out->key != NULL && out->chain != NULL;
	}
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	X509_free(ca);
	X509_free(certificate);
	if (!good)
		certificate_fini(out);
	return good;
}

void certificate_fini(struct certificate *c)
{
	if (c->key != NULL)
		explicit_bzero(c->key, strlen(c->key));
	free(c->key);
	free(c->chain);
	*c = (struct certificate){0};
}
