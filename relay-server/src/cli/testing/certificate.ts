/** A self-signed certificate for `localhost`, valid until 2126, with its key: for tests only, worth nothing elsewhere. */
export const certificate = `-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUHfAEAvs2L3t1SEI6PV/z1pXXeWowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTAyNTMxMFoYDzIxMjYxMDI4
MDI1MzEwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQzEBwx1lwWIEoijWtgw/4jeVfNJTARbjjVG9koDqLRKzF0IfKqb4em
oYplf3Rk4gWEPYDqy1CEjw0Euh+3XKdAo1MwUTAdBgNVHQ4EFgQUiHtoY43IB/wm
1LA26mtBEVhck7cwHwYDVR0jBBgwFoAUiHtoY43IB/wm1LA26mtBEVhck7cwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBoUx6JBmI/zWvMfKIf7soZ
wS253X+tv0FCTnavol4s2gIhAPUwYqcAs1UpeGb+DMnkr/3UAHIRtbbFN6K6ZLyF
JEhj
-----END CERTIFICATE-----
`

export const certificateKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgmJYgqi5Ggcb8kMMd
gaWzlfIx9cNM1q6OyIMBoENv94yhRANCAAQzEBwx1lwWIEoijWtgw/4jeVfNJTAR
bjjVG9koDqLRKzF0IfKqb4emoYplf3Rk4gWEPYDqy1CEjw0Euh+3XKdA
-----END PRIVATE KEY-----
`

/** SHA-256 of its SubjectPublicKeyInfo, by `openssl x509 -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum`. */
export const certificatePin = 'b091eff2fb8e54259dab23f7ac6bfdd13f4d53874c2ad3c742b51d29178411ea'

/** Another one of the same name, with its key. */
export const otherCertificate = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBfjCCASWgAwIBAgIUQMqWavYoWi70ECstXMJbMDpJ2VMwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjAyMDMwOVoYDzIxMjYxMDI5
MDIwMzA5WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATHgV5quQJMsO3N24IpNK9BU/ZJdySqf5S5fkDDkqvHvFYcjsKS+Dh4
uHorXHQ2BRXNMHhVrIQfDFCCommet0a5o1MwUTAdBgNVHQ4EFgQUSa7Bex1VdRMo
Gv9+Jdh4PbYC/yUwHwYDVR0jBBgwFoAUSa7Bex1VdRMoGv9+Jdh4PbYC/yUwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAQsMlemOoIiCqMfQZlegmb
9vWnPgp1qxXTaWuevw795wIgPR0iF3D06r6dfHsLwlWYIILBo+QE66JDgUKkP708
0nI=
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgxra5Q5HAOUWYkfHj
h/ZvI23axrm2QtISlwPYpFZR+7WhRANCAATHgV5quQJMsO3N24IpNK9BU/ZJdySq
f5S5fkDDkqvHvFYcjsKS+Dh4uHorXHQ2BRXNMHhVrIQfDFCCommet0a5
-----END PRIVATE KEY-----
`,
}
