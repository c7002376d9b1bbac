using System.Diagnostics;
using System.Globalization;

namespace PureQLora.Tools.Bench;

/// <summary>The most memory that this process has had resident since a mark.</summary>
internal static class PeakMemory
{
    private const string Status = "/proc/self/status";
    private const string ClearReferences = "/proc/self/clear_refs";

    /// <summary>Starts anew from what is resident now.</summary>
    /// <returns>False where the system keeps the peak of the whole process.</returns>
    public static bool TryReset()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        try
        {
            // 5 sets VmHWM back, see proc(5).
            File.WriteAllText(ClearReferences, "5");
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>Bytes: VmHWM where there is one.</summary>
    public static long Read()
    {
        if (File.Exists(Status) && File.ReadLines(Status).FirstOrDefault(line => line.StartsWith("VmHWM:", StringComparison.Ordinal)) is { } line)
        {
            return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10;
        }

        using Process process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }
}
