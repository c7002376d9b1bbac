using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace PureQLora.Tools.Bench;

/// <summary>The tests of the kernels, run on the GPU: the test program is one of its own and needs no test runner.</summary>
/// <param name="name">As the command line has it.</param>
/// <param name="title">Of its table.</param>
/// <param name="limit">Seconds it may take.</param>
/// <param name="filter">Which tests, in the words of the test program.</param>
internal sealed partial class GpuTestPart(string name, string title, int limit, params string[] filter) : GpuPart(name, title, limit)
{
    /// <summary>Tells the tests to run on the GPU.</summary>
    public const string DeviceVariable = "PUREQLORA_TEST_DEVICE";

    /// <summary>Tells them to leave out no shape.</summary>
    public const string ShapesVariable = "PUREQLORA_DEVICE_TESTS";

    /// <summary>The tests' project and program.</summary>
    public const string Project = "PureQLora.Kernels.Ilgpu.Tests";

    /// <summary>Where the tests are: in the bundle, or built in the repository; else null.</summary>
    public static string? Program
    {
        get
        {
            // …/bench in a bundle; …/tools/Bench/bin/Debug/net10.0 in the repository.
            DirectoryInfo own = new(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
            string built = Path.Combine("tests", Project, "bin", own.Parent?.Name ?? "", own.Name, $"{Project}.dll");
            string bundled = Path.Combine("tests", Project, $"{Project}.dll");
            for (DirectoryInfo? folder = own; folder is not null; folder = folder.Parent)
            {
                foreach (string program in new[] { bundled, built }.Select(path => Path.Combine(folder.FullName, path)))
                {
                    if (File.Exists(program))
                    {
                        return program;
                    }
                }
            }

            return null;
        }
    }

    /// <inheritdoc/>
    public override void Run(GpuWork work)
    {
        if (Program is not { } program)
        {
            work.Report(GpuRow.Note($"The tests are not here; build them with dotnet build tests/{Project}."));
            return;
        }

        using Process process = Process.Start(StartInfo(program, work.Quick))!;
        process.ErrorDataReceived += static (_, _) => { };
        process.BeginErrorReadLine();
        string reason = "";
        while (process.StandardOutput.ReadLine() is { } line)
        {
            reason = Follow(work, line.Trim(), reason);
        }

        process.WaitForExit();
        if (process.ExitCode is not (0 or 1))
        {
            work.Report(GpuRow.Note($"The tests ended with exit code {process.ExitCode}."));
        }
    }

    private ProcessStartInfo StartInfo(string program, bool quick)
    {
        ProcessStartInfo start = new(GpuProcess.Host, [program, "-noColor", "-noLogo", .. quick ? ["-method", "*Sum*"] : filter])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment[DeviceVariable] = quick ? "" : "cuda";
        start.Environment[ShapesVariable] = "full";
        return start;
    }

    /// <summary>Takes a line of the test program: a failure, its reason on the next line, or the numbers at the end.</summary>
    private static string Follow(GpuWork work, string line, string failed)
    {
        if (failed.Length > 0)
        {
            work.Report(GpuRow.Note($"failed: {failed}: {line}"));
        }

        if (Summary().Match(line) is { Success: true } summary)
        {
            work.Report(GpuRow.Of(
                "tests",
                ("total", Number(summary, 1)),
                ("errors", Number(summary, 2)),
                ("failed", Number(summary, 3)),
                ("skipped", Number(summary, 4)),
                ("seconds", Number(summary, 5))));
        }

        return line.EndsWith(" [FAIL]", StringComparison.Ordinal) ? line[..^" [FAIL]".Length] : "";
    }

    private static double? Number(Match match, int group) => double.Parse(match.Groups[group].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"Total: (\d+), Errors: (\d+), Failed: (\d+), Skipped: (\d+), Not Run: \d+, Time: ([\d.]+)s")]
    private static partial Regex Summary();
}
