using System.ComponentModel;
using System.Diagnostics;

namespace PureQLora.Tools.Bench;

/// <summary>The NVIDIA driver of this machine.</summary>
internal static class GpuDriver
{
    private const string LoadedModule = "/proc/driver/nvidia/version";

    /// <summary>Its version, as nvidia-smi or the kernel's module tells it.</summary>
    public static string Version
    {
        get
        {
            try
            {
                ProcessStartInfo start = new("nvidia-smi", ["--query-gpu=driver_version", "--format=csv,noheader"]) { RedirectStandardOutput = true };
                using Process process = Process.Start(start)!;
                string version = process.StandardOutput.ReadLine() ?? "";
                process.WaitForExit();
                if (process.ExitCode == 0 && version.Length > 0)
                {
                    return version;
                }
            }
            catch (Win32Exception)
            {
                // Containers often have the driver's library alone.
            }

            return File.Exists(LoadedModule) ? File.ReadLines(LoadedModule).FirstOrDefault() ?? "unknown" : "unknown";
        }
    }
}
