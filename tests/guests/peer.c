/* flux-security's library as another program would use it: "peer PATTERN sign TYPE" or "peer PATTERN verify", from standard input. */
#include <flux/security/context.h>
#include <flux/security/sign.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static char input[1 << 20];

int main(int argc, char **argv)
{
    flux_security_t *ctx = flux_security_create(0);
    size_t len = fread(input, 1, sizeof input - 1, stdin);
    const void *payload;
    const char *j;
    int size;
    int64_t userid;

    if (!ctx || argc < 3 || flux_security_configure(ctx, argv[1]) < 0) {
        fprintf(stderr, "configure: %s\n", ctx ? flux_security_last_error(ctx) : "no context");
        return 2;
    }
    if (!strcmp(argv[2], "sign")) {
        if (!(j = flux_sign_wrap(ctx, input, (int)len, argv[3], 0))) {
            fprintf(stderr, "sign: %s\n", flux_security_last_error(ctx));
            return 1;
        }
        puts(j);
        return 0;
    }
    while (len > 0 && input[len - 1] == '\n')
        input[--len] = 0;
    if (flux_sign_unwrap(ctx, input, &payload, &size, &userid, 0) < 0) {
        fprintf(stderr, "verify: %s\n", flux_security_last_error(ctx));
        return 1;
    }
    printf("user %ld: %.*s\n", (long)userid, size, (const char *)payload);
    return 0;
}
