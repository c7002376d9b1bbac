using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace PureQLora.Kernels.Tests;

/// <summary>NVIDIA's assembler, where it is installed: the environment variable PTXAS, or the path.</summary>
internal static class PtxAssembler
{
    private static readonly string? Executable = Find();

    public static bool IsInstalled => Executable is not null;

    /// <summary>Assembles.</summary>
    /// <param name="ptx">The text of a kernel.</param>
    /// <param name="architecture">As ptxas calls it.</param>
    public static AssembledKernel Run(string ptx, string architecture = "sm_80")
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, ptx);
            using Process process = Process.Start(new ProcessStartInfo(Executable!, [$"-arch={architecture}", "-v", file, "-o", "/dev/null"]) { RedirectStandardError = true })!;
            string report = process.StandardError.ReadToEnd();
            process.WaitForExit();
            Assert.True(process.ExitCode == 0, report);
            return new AssembledKernel(
                Number(report, @"Used (\d+) registers"),
                Number(report, @"(\d+) bytes stack frame"),
                Number(report, @"(\d+) bytes spill stores") + Number(report, @"(\d+) bytes spill loads"),
                Number(report, @"(\d+) bytes smem"));
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static int Number(string report, string pattern) =>
        Regex.Match(report, pattern) is { Success: true } match ? int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : 0;

    private static string? Find()
    {
        if (Environment.GetEnvironmentVariable("PTXAS") is { Length: > 0 } given)
        {
            return given;
        }

        return (Environment.GetEnvironmentVariable("PATH") ?? string.Empty)
            .Split(Path.PathSeparator)
            .Select(folder => Path.Combine(folder, "ptxas"))
            .FirstOrDefault(File.Exists);
    }
}
