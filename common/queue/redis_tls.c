#include "common/queue/redis_tls.h"

#ifdef RT_REDIS_TLS

#include <arpa/inet.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

bool queue_has_tls(void)
{
    return true;
}

static rt_status fail_tls(rt_status status, const char *name, const char *what, rt_error *err)
{
    char text[256] = "";
    unsigned long code = ERR_get_error();
    if (code != 0) ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return rt_fail(err, status, "queue %s: %s%s%s", name, what, text[0] != '\0' ? ": " : "", text);
}

static rt_status load_files(SSL_CTX *ctx, const queue_login *login, const char *name, rt_error *err)
{
    bool has_ca = login->ca_file[0] != '\0', has_cert = login->cert_file[0] != '\0';
    if (has_ca ? SSL_CTX_load_verify_locations(ctx, login->ca_file, NULL) != 1
               : SSL_CTX_set_default_verify_paths(ctx) != 1)
        return fail_tls(RT_INVALID, name, "queue.ca_file holds no certificate that can be used",
                        err);
    if (!has_cert) return RT_OK;
    if (SSL_CTX_use_certificate_chain_file(ctx, login->cert_file) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, login->key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1)
        return fail_tls(RT_INVALID, name,
                        "queue.cert_file and queue.key_file are not a certificate and its key",
                        err);
    return RT_OK;
}

/* hiredis checks who signed a certificate; whom it is for is asked here. */
static bool expect_host(SSL *ssl, const char *host)
{
    unsigned char address[16];
    X509_VERIFY_PARAM *how = SSL_get0_param(ssl);
    bool is_ip = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    if (is_ip) return X509_VERIFY_PARAM_set1_ip_asc(how, host) == 1;
    X509_VERIFY_PARAM_set_hostflags(how, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

rt_status redis_tls_start(redisContext *c, const queue_login *login, const char *host,
                          const char *name, rt_error *err)
{
    rt_status st = RT_OK;
    SSL *ssl = NULL;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        st = fail_tls(RT_NOMEM, name, "TLS", err);
        goto out;
    }
    if ((st = load_files(ctx, login, name, err)) != RT_OK) goto out;
    if ((ssl = SSL_new(ctx)) == NULL || !expect_host(ssl, host)) {
        st = fail_tls(RT_NOMEM, name, "TLS", err);
        goto out;
    }
    SSL *given = ssl;
    if (redisInitiateSSL(c, ssl) == REDIS_OK) {
        ssl = NULL; /* the connection's now */
        goto out;
    }
    long verdict = SSL_get_verify_result(given);
    if (verdict != X509_V_OK)
        st = rt_fail(err, RT_REFUSED, "queue %s: its certificate is not accepted: %s", name,
                     X509_verify_cert_error_string(verdict));
    else
        st = rt_fail(err, RT_UNAVAILABLE, "queue %s: no TLS handshake: %s", name, c->errstr);
    ERR_clear_error();
out:
    SSL_free(ssl);
    SSL_CTX_free(ctx); /* the connection holds a reference of its own */
    return st;
}

#else

bool queue_has_tls(void)
{
    return false;
}

rt_status redis_tls_start(redisContext *c, const queue_login *login, const char *host,
                          const char *name, rt_error *err)
{
    (void)c, (void)login, (void)host;
    return rt_fail(
        err, RT_UNSUPPORTED,
        "queue %s: this build speaks no TLS to Redis, for the system's hiredis has none "
        "(hiredis_ssl, from version 1.0); use redis:// on a trusted network, or a tunnel",
        name);
}

#endif
