using System.CommandLine;
using System.Runtime.InteropServices;
using PureQLora.Core;
using PureQLora.Training;
using Spectre.Console;

namespace PureQLora.Tools;

/// <summary>What every tool shares: exit codes, one-sentence errors, Ctrl-C.</summary>
public static class ToolProgram
{
    /// <summary>Everything worked.</summary>
    public const int Success = 0;

    /// <summary>The run failed or was cancelled.</summary>
    public const int Failure = 1;

    /// <summary>The user made a mistake that the message tells how to mend.</summary>
    public const int UserMistake = 2;

    /// <summary>Characters of a line where the output is not a terminal, wide enough for a layer's name and its figures.</summary>
    private const int PlainWidth = 160;

    private static CancellationTokenSource Interrupt = new();

    /// <summary>Cancelled at the first Ctrl-C or SIGTERM; the second one ends the process.</summary>
    public static CancellationToken Cancellation => Interrupt.Token;

    /// <summary>Parses the command line, runs the command and turns exceptions into exit codes.</summary>
    public static int Run(RootCommand command, string[] arguments)
    {
        ArgumentNullException.ThrowIfNull(command);
        Thread.CurrentThread.CurrentCulture = System.Globalization.CultureInfo.InvariantCulture;
        Interrupt = new CancellationTokenSource();
        if (!AnsiConsole.Profile.Out.IsTerminal)
        {
            AnsiConsole.Profile.Width = PlainWidth;
            AnsiConsole.Profile.Capabilities.ColorSystem = ColorSystem.NoColors;
            AnsiConsole.Profile.Capabilities.Ansi = false;
        }

        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        ParseResult parsed = command.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            return Fail(UserMistake, $"{OneLine(parsed.Errors[0].Message)} Run with --help to see the options.");
        }

        try
        {
            return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (UserErrorException exception)
        {
            return Fail(UserMistake, exception.Message);
        }
        catch (OperationCanceledException)
        {
            return Fail(Failure, "Cancelled; nothing was left half-written.");
        }
        catch (Exception exception) when (exception is TrainingFailedException or DeviceFailedException)
        {
            return Fail(Failure, exception.Message);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return Fail(Failure, $"A file could not be read or written: {exception.Message}");
        }
        catch (OutOfMemoryException)
        {
            return Fail(Failure, "There is not enough memory; use a smaller batch, shorter samples or checkpointing.");
        }
#pragma warning disable CA1031 // a defect of ours still ends with one sentence; the trace is for whoever reports it
        catch (Exception exception)
        {
            string trace = Environment.GetEnvironmentVariable("PUREQLORA_TRACE") is null ? " Set PUREQLORA_TRACE=1 to see where." : $"\n{exception}";
            return Fail(Failure, $"Internal error ({exception.GetType().Name}): {exception.Message}{trace}");
        }
#pragma warning restore CA1031
    }

    /// <summary>What Ctrl-C does, for tests.</summary>
    internal static void Cancel() => Interrupt.Cancel();

    private static int Fail(int code, string message)
    {
        System.Console.Error.WriteLine(message);
        return code;
    }

    private static string OneLine(string message) =>
        string.Join(' ', message.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    private static void OnSignal(PosixSignalContext context)
    {
        if (!Interrupt.IsCancellationRequested)
        {
            context.Cancel = true;
            System.Console.Error.WriteLine("Stopping after the present step; once more to stop at once.");
            Interrupt.Cancel();
        }
    }
}
