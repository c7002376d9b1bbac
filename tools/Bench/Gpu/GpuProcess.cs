using System.Diagnostics;
using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>Runs a part in a process of its own, which writes each result as a line of JSON, and ends it when its time is over.</summary>
internal static class GpuProcess
{
    private const int LongestComplaint = 500;

    /// <summary>The program that runs programs of .NET.</summary>
    public static string Host => Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? Environment.ProcessPath! : DotnetOfRuntime();

    /// <summary>Runs it.</summary>
    /// <param name="part">What to run.</param>
    /// <param name="arguments">Further ones of the command.</param>
    /// <param name="report">Takes each result as it comes.</param>
    /// <returns>Null, or why it is not complete.</returns>
    public static string? Run(GpuPart part, IEnumerable<string> arguments, Action<GpuRow> report)
    {
        ProcessStartInfo start = new(Host, [typeof(GpuProcess).Assembly.Location, "gpu", "--part", part.Name, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Queue<string> complaints = [];
        process.ErrorDataReceived += (_, line) =>
        {
            lock (complaints)
            {
                complaints.Enqueue(line.Data ?? "");
            }
        };
        process.BeginErrorReadLine();
        using CancellationTokenSource time = CancellationTokenSource.CreateLinkedTokenSource(ToolProgram.Cancellation);
        time.CancelAfter(part.Limit);
        using (time.Token.Register(() => End(process)))
        {
            while (process.StandardOutput.ReadLine() is { } line)
            {
                if (Parse(line) is { } row)
                {
                    report(row);
                }
            }

            process.WaitForExit();
        }

        ToolProgram.Cancellation.ThrowIfCancellationRequested();
        lock (complaints)
        {
            return time.IsCancellationRequested ? $"Not done after {part.Limit.TotalSeconds:F0} seconds."
                : process.ExitCode == 0 ? null : Shortened(string.Join(' ', complaints), process.ExitCode);
        }
    }

    /// <summary>A result as a line.</summary>
    public static string Line(GpuRow row) => JsonSerializer.Serialize(row);

    private static GpuRow? Parse(string line)
    {
        try
        {
            return line.StartsWith('{') ? JsonSerializer.Deserialize<GpuRow>(line) : null;
        }
        catch (JsonException)
        {
            // Half a line of a process that ended.
            return null;
        }
    }

    private static string Shortened(string complaint, int exitCode)
    {
        string text = string.Join(' ', complaint.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return text.Length == 0 ? $"It ended with exit code {exitCode}." : text[..Math.Min(text.Length, LongestComplaint)];
    }

    private static void End(Process process)
    {
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It has just ended by itself.
        }
    }

    /// <summary>…/shared/Microsoft.NETCore.App/10.0.0 lies three folders below it.</summary>
    private static string DotnetOfRuntime()
    {
        string program = Path.GetFullPath(Path.Combine(GpuBundle.RuntimeFolder, "..", "..", "..", OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));
        return File.Exists(program)
            ? program
            : throw new UserErrorException($"There is no {program} to run the parts with; start the benchmark with dotnet Bench.dll.");
    }
}
