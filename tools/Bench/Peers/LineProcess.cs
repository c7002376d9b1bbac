using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace PureQLora.Tools.Bench;

/// <summary>
/// A peer in a process of its own that answers each line with a line. It stays alive between its turns, and measures its own times, so
/// that neither its start nor the pipe is counted.
/// </summary>
internal sealed class LineProcess : IDisposable
{
    private readonly Process _process;
    private readonly Lock _gate = new();
    private string _complaint = "";

    private LineProcess(Process process)
    {
        _process = process;
        process.ErrorDataReceived += (_, line) =>
        {
            if (!string.IsNullOrWhiteSpace(line.Data))
            {
                lock (_gate)
                {
                    _complaint = line.Data.Trim();
                }
            }
        };
        process.BeginErrorReadLine();
    }

    /// <summary>Starts a program.</summary>
    /// <returns>Null where the system has no such program.</returns>
    public static LineProcess? TryStart(string program, params IEnumerable<string> arguments)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            return new LineProcess(Process.Start(start)!);
        }
        catch (Win32Exception)
        {
            return null;
        }
    }

    /// <summary>Sends a line and waits for the answer.</summary>
    /// <exception cref="PeerFailedException">The program ended instead, or answered with an error.</exception>
    public string Ask(string line)
    {
        try
        {
            _process.StandardInput.WriteLine(line);
            _process.StandardInput.Flush();
        }
        catch (IOException)
        {
            // It has ended; what it said last tells why.
        }

        string? answer = _process.StandardOutput.ReadLine();
        if (answer is null)
        {
            _process.WaitForExit();
            throw new PeerFailedException(_complaint.Length > 0 ? _complaint : $"it ended with exit code {_process.ExitCode}");
        }

        return answer.StartsWith("error ", StringComparison.Ordinal) ? throw new PeerFailedException(answer["error ".Length..]) : answer;
    }

    /// <summary>Sends a line whose answer is a number.</summary>
    public double AskNumber(string line) => double.Parse(Ask(line), CultureInfo.InvariantCulture);

    /// <summary>Ends the program.</summary>
    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process.Dispose();
    }
}
