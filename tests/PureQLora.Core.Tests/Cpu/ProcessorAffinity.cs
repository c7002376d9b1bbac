using System.Globalization;
using System.Runtime.InteropServices;

namespace PureQLora.Core.Tests;

/// <summary>Moves all threads of this process between processors, as <c>taskset -a -p</c> does, until disposal. On Linux; elsewhere it does nothing.</summary>
internal sealed partial class ProcessorAffinity : IDisposable
{
    public void Set(ulong processors)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        foreach (string task in Directory.GetDirectories("/proc/self/task"))
        {
            // A set without any processor that exists is refused, a thread that has just ended too; neither matters here.
            _ = SetAffinity(int.Parse(Path.GetFileName(task), CultureInfo.InvariantCulture), sizeof(ulong), processors);
        }
    }

    public void Dispose() => Set(~0UL);

    [LibraryImport("libc", EntryPoint = "sched_setaffinity")]
    private static partial int SetAffinity(int thread, nuint size, in ulong processors);
}
