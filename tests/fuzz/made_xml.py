"""HL7 aECG, GE MUSE and Philips Sierra documents."""

from __future__ import annotations

import base64
import zlib

import numpy as np

from tests.fuzz.made_signal import BORN, FAMILY, GIVEN, IDENTIFIER, KANJI, MICROVOLTS, RATE, median_beat

Leads = dict[str, np.ndarray]
DATE = "{:04d}{:02d}{:02d}".format(*BORN)


def aecg(leads: Leads) -> bytes:
    """HL7 aECG with a representative beat beside the rhythm."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<AnnotatedECG xmlns="urn:hl7-org:v3"><id root="1.2.3"/>
<componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject>
<id root="1.2" extension="{IDENTIFIER}"/><subjectDemographicPerson><name>{FAMILY} {GIVEN} {KANJI}</name>
<administrativeGenderCode code="F"/><birthTime value="{DATE}"/></subjectDemographicPerson>
</trialSubject></subject></subjectAssignment></componentOf></timepointEvent></componentOf>
<component><series><code code="RHYTHM"/>{_sequences(leads)}
<derivation><derivedSeries><code code="REPRESENTATIVE_BEAT"/>{_sequences(median_beat(leads))}</derivedSeries></derivation>
</series></component></AnnotatedECG>""".encode()


def _sequences(leads: Leads) -> str:
    time = (
        f'<sequence><code code="TIME_ABSOLUTE"/><value><head value="20200102"/><increment value="{1 / RATE}" unit="s"/>'
    )
    parts = [f"<component>{time}</value></sequence></component>"]
    for name, samples in leads.items():
        digits = " ".join(map(str, samples.tolist()))
        parts.append(
            f'<component><sequence><code code="MDC_ECG_LEAD_{name}"/><value><origin value="0" unit="uV"/>'
            f'<scale value="{MICROVOLTS}" unit="uV"/><digits>{digits}</digits></value></sequence></component>'
        )
    return f"<component><sequenceSet>{''.join(parts)}</sequenceSet></component>"


def muse(leads: Leads, *, checksums: bool = True) -> bytes:
    """GE MUSE, the median beat first."""
    waveforms = [
        f"<Waveform><WaveformType>{kind}</WaveformType><SampleBase>{RATE}</SampleBase><SampleExponent>0</SampleExponent>"
        + "".join(_lead_data(name, samples, checksums) for name, samples in each.items())
        + "</Waveform>"
        for kind, each in (("Median", median_beat(leads)), ("Rhythm", leads))
    ]
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE RestingECG SYSTEM "restecg.dtd">
<RestingECG><PatientDemographics><PatientID>{IDENTIFIER}</PatientID><PatientAge>67</PatientAge><AgeUnits>YEARS</AgeUnits>
<DateofBirth>{BORN[1]:02d}-{BORN[2]:02d}-{BORN[0]}</DateofBirth><Gender>FEMALE</Gender>
<PatientLastName>{FAMILY} {KANJI}</PatientLastName><PatientFirstName>{GIVEN}</PatientFirstName></PatientDemographics>
<TestDemographics><AcquisitionTime>10:35:17</AcquisitionTime><AcquisitionDate>01-02-2020</AcquisitionDate></TestDemographics>
{"".join(waveforms)}</RestingECG>""".encode()


def _lead_data(name: str, samples: np.ndarray, checksums: bool) -> str:
    data = samples.astype("<i2").tobytes()
    checksum = f"<LeadDataCRC32>{zlib.crc32(data)}</LeadDataCRC32>" if checksums else ""
    return (
        f"<LeadData><LeadByteCountTotal>{len(data)}</LeadByteCountTotal>"
        f"<LeadSampleCountTotal>{len(samples)}</LeadSampleCountTotal>"
        f"<LeadAmplitudeUnitsPerBit>{MICROVOLTS}</LeadAmplitudeUnitsPerBit>"
        f"<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>{name}</LeadID>{checksum}"
        f"<WaveFormData>{base64.b64encode(data).decode()}</WaveFormData></LeadData>"
    )


def sierra(leads: Leads, *, packed: bool = True) -> bytes:
    """Philips Sierra 1.04, its samples by the recorder's own compression or plainly in Base64."""
    names = tuple(leads)
    data = (
        b"".join(map(_xli, leads.values())) if packed else b"".join(s.astype("<i2").tobytes() for s in leads.values())
    )
    milliseconds = len(leads[names[0]]) * 1000 // RATE
    beats = "".join(
        f'<repbeat leadname="{name}"><waveform duration="500">{base64.b64encode(beat.astype("<i2").tobytes()).decode()}'
        "</waveform></repbeat>"
        for name, beat in median_beat(leads).items()
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo><documenttype>PhilipsECG</documenttype>
<documentversion>1.04</documentversion></documentinfo>
<dataacquisition date="2020-01-02" time="10:35:17"><signalcharacteristics><samplingrate>{RATE}</samplingrate>
<resolution>{MICROVOLTS}</resolution></signalcharacteristics></dataacquisition>
<patient><generalpatientdata><patientid>{IDENTIFIER}</patientid><name><lastname>{FAMILY} {KANJI}</lastname>
<firstname>{GIVEN}</firstname></name><age><dateofbirth>{BORN[0]}-{BORN[1]:02d}-{BORN[2]:02d}</dateofbirth>
<years>67</years></age><sex>Female</sex></generalpatientdata></patient>
<waveforms><parsedwaveforms dataencoding="Base64" {'compression="XLI" ' if packed else ""}samplespersecond="{RATE}"
 resolution="{MICROVOLTS}" durationperchannel="{milliseconds}" numberofleads="{len(names)}"
 leadlabels="{" ".join(names)}">{base64.b64encode(data).decode()}</parsedwaveforms>
<repbeats dataencoding="Base64" samplespersec="{RATE}" resolution="{MICROVOLTS}">{beats}</repbeats></waveforms>
</restingecgdata>""".encode()


def _xli(samples: np.ndarray) -> bytes:
    """One lead: second differences, high bytes before low ones, as LZW of 10-bit codes (bytes alone)."""
    x = samples.astype(np.int64)
    # The decoder's state is (x, y, last): z = 2 y - x - last, then last = delta - 64.
    deltas = [int(x[0]), int(x[1])]
    lasts = [2 * int(x[i - 1]) - int(x[i - 2]) - int(x[i]) for i in range(2, len(x))]
    deltas += [last + 64 for last in [*lasts[1:], 0]]
    words = np.array(deltas, np.int16).view(np.uint16)
    body = np.concatenate([words >> 8, words & 0xFF]).astype(np.uint8).tobytes()
    bits = "".join(f"{byte:010b}" for byte in body)
    bits += "0" * (-len(bits) % 8)
    packed = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return len(packed).to_bytes(4, "little") + b"\0\0" + lasts[0].to_bytes(2, "little", signed=True) + packed
