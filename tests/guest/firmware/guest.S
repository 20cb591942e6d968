# A guest operating system in one page of 16-bit code: a 64 KiB image for `qemu-system-x86_64 -bios`, on q35 and pc.
# ../README.md describes what it says on COM1 and which commands it takes.
#
# Assemble with --defsym POWER=0 (ignore the power button) or 1 (obey it), and --defsym SPIN=0 or 1 (hang after READY).
# Sources of the register values: Intel ICH9 and PIIX4 data sheets, ACPI 6.5 section 4.8 (PM1 registers), PC16550D.

        .intel_syntax noprefix
        .code16

        .equ    COM1, 0x3f8
        .equ    LINE_STATUS, COM1 + 5
        .equ    RX_READY, 0x01
        .equ    TX_EMPTY, 0x20          # the holding register takes another byte
        .equ    TX_IDLE, 0x40           # the last byte has left the shift register too

        .equ    PM_BASE, 0x600          # where we map the ACPI block; any free I/O address would do
        .equ    PM1_STATUS, PM_BASE
        .equ    PM1_ENABLE, PM_BASE + 2
        .equ    PM1_CONTROL, PM_BASE + 4
        .equ    POWER_BUTTON, 0x0100    # the same bit in status (write 1 to clear) and enable
        .equ    SLEEP_S5, 0x2000        # SLP_EN with SLP_TYP 0, which is S5 in QEMU's tables

        .equ    IRQ_VECTORS, 0x20       # clear of the CPU's exceptions
        .equ    BOOT_COUNT, 0x600       # a byte of RAM: QEMU keeps RAM over a reset
        .equ    BOOT_ID, 0x604          # of this boot
        .equ    STACK_TOP, 0x7000
        .equ    ROM_SEGMENT, 0xf000

        .text
start:  cli
        cld
        xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, STACK_TOP

        mov     word ptr ds:[(IRQ_VECTORS + 0) * 4], offset on_irq              # timer
        mov     word ptr ds:[(IRQ_VECTORS + 0) * 4 + 2], ROM_SEGMENT
        mov     word ptr ds:[(IRQ_VECTORS + 4) * 4], offset on_irq              # COM1
        mov     word ptr ds:[(IRQ_VECTORS + 4) * 4 + 2], ROM_SEGMENT
        mov     word ptr ds:[(IRQ_VECTORS + 7) * 4], offset on_spurious_irq     # the PIC's answer to an IRQ that went away
        mov     word ptr ds:[(IRQ_VECTORS + 7) * 4 + 2], ROM_SEGMENT

        mov     si, offset port_writes
1:      mov     dx, cs:[si]
        test    dx, dx
        jz      2f
        mov     al, cs:[si + 2]
        out     dx, al
        add     si, 3
        jmp     1b
2:
        call    map_acpi
        call    route_irqs

        # Before READY: QEMU drops a button press that is not enabled.
        mov     dx, PM1_ENABLE
        mov     ax, POWER_BUTTON
        out     dx, ax

        mov     si, offset banner
        call    print
        call    make_boot_id
        call    print_boot_id
        mov     si, offset ready
        call    print

.if SPIN
hang:   jmp     hang                    # interrupts are still off
.endif

# Sleeps between events. A byte that comes between the last look and `hlt` waits for the next timer tick, 10 ms at most.
idle:   sti
        hlt
serve:  mov     dx, LINE_STATUS
        in      al, dx
        test    al, RX_READY
        jz      look_at_button
        mov     dx, COM1
        in      al, dx
        cmp     al, 'p'
        je      power_off
        cmp     al, 'r'
        je      reset
        cmp     al, 't'
        je      triple_fault
        cmp     al, 'b'
        je      say_boot
        call    put_char
        jmp     serve

say_boot:
        call    print_boot_id
        jmp     serve

look_at_button:
        mov     dx, PM1_STATUS
        in      ax, dx
        test    ax, POWER_BUTTON
        jz      idle
        mov     ax, POWER_BUTTON
        out     dx, ax
        mov     si, offset button_pressed
        call    print
.if POWER
        jmp     power_off
.else
        jmp     serve
.endif

power_off:
        mov     si, offset powering_off
        call    print
1:      mov     dx, LINE_STATUS
        in      al, dx
        test    al, TX_IDLE
        jz      1b
        mov     dx, PM1_CONTROL
        mov     ax, SLEEP_S5
        out     dx, ax
        jmp     idle                    # reached only with -no-shutdown and then `cont`

reset:  mov     al, 0xfe                # keyboard controller: pulse the reset line
        out     0x64, al
        jmp     idle

# From protected mode: KVM's emulator of real mode ignores the limit of the table. Selector 0x18 is beyond the GDT.
triple_fault:
        cli
        lidt    cs:[empty_idt]
        lgdtd   cs:[flat_gdt]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        mov     bx, 0x18
        mov     fs, bx
        jmp     triple_fault

on_irq: push    ax
        mov     al, 0x20                # end of interrupt; the work is done by the loop that `hlt` returns to
        out     0x20, al
        pop     ax
on_spurious_irq:
        iret

# Gives the ACPI registers an I/O address: nobody has done it, for we are the firmware.
map_acpi:
        mov     eax, 0x8000f800         # 00:1f.0, vendor and device
        call    pci_select
        in      eax, dx
        cmp     eax, 0x29188086         # ICH9: a q35
        jne     1f
        mov     eax, 0x8000f840         # PMBASE
        mov     ebx, PM_BASE | 1
        call    pci_write
        mov     eax, 0x8000f844         # ACPI_CNTL: enable
        mov     ebx, 0x80
        jmp     pci_write
1:      mov     eax, 0x80000b40         # PIIX4, 00:01.3: PMBASE
        mov     ebx, PM_BASE | 1
        call    pci_write
        mov     eax, 0x80000b80         # PMREGMISC: enable
        mov     ebx, 1
        jmp     pci_write

pci_write:
        call    pci_select
        mov     eax, ebx
        out     dx, eax
        ret

pci_select:
        mov     dx, 0xcf8
        out     dx, eax
        mov     dx, 0xcfc
        ret

# Lets the PIC's interrupts through to the CPU. QEMU's own local APIC masks them until it is in virtual wire mode and
# stays in the way when switched off. KVM's lets them pass then, and must be treated so: a KVM that has to emulate
# this code (a nested one) fails to reach the APIC's registers, silently.
route_irqs:
        mov     eax, 0x40000000         # hypervisor leaf
        cpuid
        cmp     ebx, 0x54474354         # "TCGT", of "TCGTCGTCGTCG"
        je      1f
        mov     ecx, 0x1b               # IA32_APIC_BASE
        rdmsr
        and     eax, ~0x800
        wrmsr
        ret
1:      lgdtd   cs:[flat_gdt]
        mov     ecx, cr0
        mov     eax, ecx
        or      al, 1
        mov     cr0, eax
        mov     bx, 8
        mov     fs, bx
        mov     cr0, ecx
        mov     ebx, 0xfee000f0         # spurious interrupt vector: APIC enabled
        mov     dword ptr fs:[ebx], 0x1ff
        mov     ebx, 0xfee00350         # LINT0: ExtINT, not masked
        mov     dword ptr fs:[ebx], 0x700
        ret

# The id's last two digits count the boots since QEMU started, so two boots of one QEMU never look alike; the other six
# mix the time stamp counter and the clock, so two QEMUs hardly ever do.
make_boot_id:
        xor     ebx, ebx
        mov     al, 4                   # RTC registers: hours, minutes, seconds
1:      out     0x70, al
        mov     ah, al
        in      al, 0x71
        shl     ebx, 8
        mov     bl, al
        mov     al, ah
        sub     al, 2
        jns     1b
        rdtsc
        xor     eax, ebx
        shl     eax, 8
        inc     byte ptr ds:[BOOT_COUNT]
        mov     al, ds:[BOOT_COUNT]
        mov     ds:[BOOT_ID], eax
        ret

print_boot_id:
        mov     si, offset boot
        call    print
        mov     ebx, ds:[BOOT_ID]
        mov     cx, 8
2:      rol     ebx, 4
        mov     al, bl
        and     al, 0x0f
        add     al, '0'
        cmp     al, '9'
        jbe     3f
        add     al, 'a' - '9' - 1
3:      call    put_char
        loop    2b
        mov     si, offset newline
        jmp     print

# Both clobber ax and dx. They wait for the device, and QEMU drops the byte when the host does not read for long.
print:  mov     al, cs:[si]
        test    al, al
        jz      1f
        inc     si
        call    put_char
        jmp     print
1:      ret

put_char:
        mov     ah, al
1:      mov     dx, LINE_STATUS
        in      al, dx
        test    al, TX_EMPTY
        jz      1b
        mov     al, ah
        mov     dx, COM1
        out     dx, al
        ret

        .macro  port_write port, value
        .word   \port
        .byte   \value
        .endm

port_writes:
        port_write 0x20, 0x11           # both PICs: initialise, edge triggered, cascaded
        port_write 0xa0, 0x11
        port_write 0x21, IRQ_VECTORS
        port_write 0xa1, IRQ_VECTORS + 8
        port_write 0x21, 4              # the second PIC is on IRQ 2 of the first
        port_write 0xa1, 2
        port_write 0x21, 1              # 8086 mode
        port_write 0xa1, 1
        port_write 0x21, 0xee           # unmask the timer and COM1, nothing else
        port_write 0xa1, 0xff
        port_write 0x43, 0x34           # PIT channel 0: rate generator
        port_write 0x40, 0x9c           # 1193182 Hz / 0x2e9c = 100 Hz
        port_write 0x40, 0x2e
        port_write COM1 + 3, 0x80       # 115200 baud ...
        port_write COM1 + 0, 1
        port_write COM1 + 1, 0
        port_write COM1 + 3, 0x03       # ... 8n1
        port_write COM1 + 2, 0x07       # FIFO on and empty, interrupt at the first byte
        port_write COM1 + 4, 0x0b       # DTR, RTS, OUT2 (the interrupt's gate)
        port_write COM1 + 1, 0x01       # interrupt on received data
        .word   0

        .balign 8
gdt:    .quad   0
        .quad   0x00cf92000000ffff      # data, base 0, 4 GiB
flat_gdt:
        .word   15
        .long   ROM_SEGMENT * 16 + gdt
empty_idt:
        .word   0
        .long   0

.if SPIN
banner: .asciz  "bulkhead firmware guest (spin)\r\n"
.elseif POWER
banner: .asciz  "bulkhead firmware guest (obey)\r\n"
.else
banner: .asciz  "bulkhead firmware guest (ignore)\r\n"
.endif
boot:   .asciz  "BOOT "
ready:  .asciz  "READY\r\n"
button_pressed:
        .asciz  "POWERBUTTON\r\n"
powering_off:
        .ascii  "POWEROFF"
newline:
        .asciz  "\r\n"

        .org    0xfff0                  # the CPU starts here
        ljmp    ROM_SEGMENT, offset start
        .org    0x10000
