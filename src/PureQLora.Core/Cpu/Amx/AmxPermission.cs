using System.ComponentModel;
using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>
/// Tiles are 8 KiB of registers that Linux gives only to a process that asks for them.
/// </summary>
/// <remarks>The Linux kernel's Documentation/arch/x86/xstate.rst; asm/prctl.h.</remarks>
internal static unsafe partial class AmxPermission
{
    /// <summary>arch_prctl: an operation and its argument; 0, or an error number.</summary>
    internal delegate int ArchControl(int operation, nint argument);

    internal const int GetSupported = 0x1021;        // ARCH_GET_XCOMP_SUPP
    internal const int GetPermitted = 0x1022;        // ARCH_GET_XCOMP_PERM
    internal const int Request = 0x1023;             // ARCH_REQ_XCOMP_PERM
    internal const int TileData = 18;                // XFEATURE_XTILE_DATA
    private const int TileConfiguration = 17;
    private const long ArchControlNumber = 158;      // SYS_arch_prctl of x86-64

    /// <summary>Why this process may not use tiles, as the end of a sentence; null where it may. Asked once.</summary>
    public static string? Obstacle { get; } =
        OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64
            ? Ask(Call)
            : "tiles need Linux on x64";

    /// <summary>Asks for the tiles.</summary>
    /// <param name="control">The system call.</param>
    internal static string? Ask(ArchControl control)
    {
        ulong features = 0;
        if (control(GetSupported, (nint)(&features)) != 0 || !Has(features, TileConfiguration) || !Has(features, TileData))
        {
            return "the system does not support tiles (Linux does from 5.16 on)";
        }

        int error = control(Request, TileData);
        if (error != 0)
        {
            return $"the system refuses tiles to this process ({new Win32Exception(error).Message})";
        }

        features = 0;
        return control(GetPermitted, (nint)(&features)) == 0 && Has(features, TileData) ? null : "the system granted tiles to this process, but did not keep to it";
    }

    private static bool Has(ulong features, int index) => ((features >> index) & 1) != 0;

    private static int Call(int operation, nint argument) => SystemCall(ArchControlNumber, operation, argument) == 0 ? 0 : Marshal.GetLastPInvokeError();

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long SystemCall(long number, long first, nint second);
}
